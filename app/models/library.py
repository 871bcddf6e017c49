"""A workspace's library: assets and their tags, collections, uploads and counts."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned, Partitioned

BYTEWISE = String(255).with_variant(String(255, collation="C"), "postgresql")
"""Text that each database sorts by its bytes."""


class MediaType(StrEnum):
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"


class AssetFields:
    """What is known of a stored image or video. Its bytes never change; ``content`` is their
    SHA-256.

    ``kind`` is the format that was detected, ``mime_type`` the type that was declared; they agree.
    ``size`` is in bytes, ``width`` and ``height`` in pixels of the upright picture. ``sort_name``
    is what names are sorted by, ``search`` all folded text that is searched.

    ``origin`` is where it came from. An image made of another names that one in ``made_from``,
    which may be gone by now, and in ``operations`` what was done, as the API writes it.
    ``added_by_kind`` and ``added_by_id`` name the actor; they are unknown for old assets.
    ``details`` are its colours and what metadata its file holds; None until somebody asks.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255))
    sort_name: Mapped[str] = mapped_column(BYTEWISE)
    original_name: Mapped[str] = mapped_column(String(255))
    mime_type: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    frames: Mapped[int]
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    content: Mapped[str] = mapped_column(String(64))
    storage_key: Mapped[str] = mapped_column(String(512))
    thumbnail_key: Mapped[str] = mapped_column(String(512))
    tags: Mapped[list[str]] = mapped_column(JSON)
    search: Mapped[str] = mapped_column(Text)
    collection_id: Mapped[str | None] = mapped_column(String(32))
    location_x: Mapped[float]
    location_y: Mapped[float]
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    public_token: Mapped[str | None] = mapped_column(String(32))
    origin: Mapped[str] = mapped_column(String(16), server_default="upload")
    made_from: Mapped[str | None] = mapped_column(String(32))
    operations: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    added_by_kind: Mapped[str | None] = mapped_column(String(8))
    added_by_id: Mapped[str | None] = mapped_column(String(32))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class Asset(AssetFields, Partitioned, Base):
    """A stored image or video that is not in the trash."""

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        UniqueConstraint("org_id", "storage_key"),
        ForeignKeyConstraint(["org_id", "collection_id"], ["collections.org_id", "collections.id"]),
        CheckConstraint("media_type IN ('IMAGE', 'VIDEO')", name="media_type"),
        # Kinds and sizes are there so that lists which filter by them need not look at each asset.
        Index("ix_assets_uploaded", "org_id", "mode", "uploaded_at", "id", "kind", "size"),
        Index("ix_assets_name", "org_id", "mode", "sort_name", "id"),
        Index("ix_assets_size", "org_id", "mode", "size", "id"),
        Index("ix_assets_type_uploaded", "org_id", "mode", "media_type", "uploaded_at", "id"),
        Index("ix_assets_type_name", "org_id", "mode", "media_type", "sort_name", "id"),
        Index("ix_assets_type_size", "org_id", "mode", "media_type", "size", "id"),
        Index(
            "ix_assets_collection_uploaded", "org_id", "mode", "collection_id", "uploaded_at", "id"
        ),
        Index("ix_assets_collection_name", "org_id", "mode", "collection_id", "sort_name", "id"),
        Index("ix_assets_collection_size", "org_id", "mode", "collection_id", "size", "id"),
        Index("ix_assets_kind", "org_id", "mode", "kind", "uploaded_at", "id", "size"),
        Index("ix_assets_content", "org_id", "mode", "content"),
        Index("ix_assets_thumbnail_key", "org_id", "thumbnail_key"),
        Index("ix_assets_public_token", "public_token", unique=True),
        Index("ix_assets_made_from", "org_id", "mode", "made_from"),
    )


class TrashedAsset(AssetFields, Partitioned, Base):
    """A deleted asset, as it was, which can be restored until it is purged. Its files stay and
    count as storage; no list, search or URL knows it. ``collection_id`` may name a collection that
    is gone."""

    __tablename__ = "trashed_assets"
    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        Index("ix_trashed_assets_deleted", "org_id", "mode", "deleted_at", "id"),
        Index("ix_trashed_assets_deleted_at", "deleted_at"),
        Index("ix_trashed_assets_content", "org_id", "mode", "content"),
        Index("ix_trashed_assets_storage_key", "org_id", "storage_key"),
        Index("ix_trashed_assets_thumbnail_key", "org_id", "thumbnail_key"),
    )

    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_by_kind: Mapped[str] = mapped_column(String(8))
    deleted_by_id: Mapped[str] = mapped_column(String(32))


IS_PUBLISHED = Asset.public_token.is_not(None)
Index(
    "ix_assets_published",
    Asset.org_id,
    Asset.mode,
    Asset.uploaded_at,
    Asset.id,
    sqlite_where=IS_PUBLISHED,
    postgresql_where=IS_PUBLISHED,
)
IS_TEST = Asset.mode == "test"
Index(
    "ix_assets_of_test_keys",
    Asset.uploaded_at,
    Asset.org_id,
    sqlite_where=IS_TEST,
    postgresql_where=IS_TEST,
)
"""Finds old assets of test keys across all organizations."""


class AssetTag(Partitioned, Base):
    """A tag of an asset, which ``Asset.tags`` has as it was written. The rows serve to find assets
    by tag, so they hold its key, in which case and accents don't count."""

    __tablename__ = "asset_tags"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "asset_id"], ["assets.org_id", "assets.id"], ondelete="CASCADE"
        ),
        Index("ix_asset_tags_tag", "org_id", "mode", "tag", "uploaded_at", "asset_id"),
    )

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    asset_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tag: Mapped[str] = mapped_column(String(64), primary_key=True)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AssetCount(Partitioned, Base):
    """How many assets share a facet: ``all``, ``type:IMAGE``, ``kind:jpeg``, ``collection:<id>``,
    ``tag:<key>``.
    The trash has facets of its own: ``trash``, and ``trash:bytes`` for the sum.

    Every change of assets updates it, so that a list knows its total without counting.
    """

    __tablename__ = "asset_counts"
    __table_args__ = (CheckConstraint("count >= 0", name="count"),)

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    facet: Mapped[str] = mapped_column(
        String(128).with_variant(String(128, collation="C"), "postgresql"), primary_key=True
    )
    count: Mapped[int] = mapped_column(BigInteger)


class Collection(Partitioned, Base):
    """A folder of assets, in a tree. ``place`` joins its parent and its name, which are unique
    together."""

    __tablename__ = "collections"
    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        UniqueConstraint("org_id", "mode", "place"),
        ForeignKeyConstraint(["org_id", "parent_id"], ["collections.org_id", "collections.id"]),
        Index("ix_collections_parent", "org_id", "mode", "parent_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    parent_id: Mapped[str | None] = mapped_column(String(32))
    place: Mapped[str] = mapped_column(String(300))
    color: Mapped[str | None] = mapped_column(String(7))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Origin(StrEnum):
    """Where an asset came from."""

    UPLOAD = "upload"
    URL = "url"
    PROMPT = "prompt"
    IMAGE = "image"


class Upload(Partitioned, Base):
    """A file that is being uploaded. Its bytes are reserved until it becomes an asset
    (``asset_id``) or is abandoned.

    The row stays as long as its URL is valid, even when the file was ``refused`` (the reason) or is
    already an asset. ``multipart_id`` names an upload in parts, as the storage does.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("org_id", "storage_key"),
        Index("ix_uploads_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    storage_key: Mapped[str] = mapped_column(String(512))
    mime_type: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    asset_id: Mapped[str | None] = mapped_column(String(32))
    refused: Mapped[str | None] = mapped_column(Text)
    multipart_id: Mapped[str | None] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StorageCounter(OrgOwned, Base):
    """The bytes of an organization's assets, also in the trash, and of its reserved uploads."""

    __tablename__ = "storage_counters"
    __table_args__ = (
        CheckConstraint("bytes >= 0", name="bytes"),
        Index("ix_storage_counters_bytes_org_id", "bytes", "org_id"),
    )

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    bytes: Mapped[int] = mapped_column(BigInteger)


class DiscardedObject(OrgOwned, Base):
    """An object in storage that no row needs any more; the sweep removes it."""

    __tablename__ = "discarded_objects"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    storage_key: Mapped[str] = mapped_column(String(512), primary_key=True)


class AllowedHost(OrgOwned, Base):
    """A host, in lower case, that images may be fetched from in addition to the well-known object
    stores."""

    __tablename__ = "allowed_hosts"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
