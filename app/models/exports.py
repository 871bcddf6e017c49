"""Export presets, renditions and batch exports."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import Partitioned


class ExportPreset(Partitioned, Base):
    """A transformation under a name. With ``format`` None the asset keeps its own format."""

    __tablename__ = "export_presets"
    __table_args__ = (UniqueConstraint("org_id", "mode", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    format: Mapped[str | None] = mapped_column(String(8))
    quality: Mapped[int]
    max_width: Mapped[int | None]
    max_height: Mapped[int | None]
    preserve_aspect: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Rendition(Partitioned, Base):
    """A transformed copy of a content (the SHA-256 of an original). ``transform_key`` names the
    transformation; content and key together find the rendition again.

    Whoever inserts the row renders it. Until it is ``ready``, ``claim`` names the claim that
    renders it and ``lease_until`` is how long other requests wait for it. ``storage_key`` is where
    that claim stores the bytes. ``needed_until`` is when the rendition was last requested, or when
    the last URL to it ends; the rendition with the earliest time is removed first.
    """

    __tablename__ = "renditions"
    __table_args__ = (
        UniqueConstraint("org_id", "mode", "content", "transform_key"),
        Index("ix_renditions_ready_used_at", "ready", "used_at"),
        Index("ix_renditions_kept", "org_id", "mode", "ready", "used_at"),
        Index("ix_renditions_storage_key", "org_id", "storage_key"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    content: Mapped[str] = mapped_column(String(64))
    transform_key: Mapped[str] = mapped_column(String(255))
    claim: Mapped[str] = mapped_column(String(32))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    storage_key: Mapped[str] = mapped_column(String(512))
    ready: Mapped[bool]
    format: Mapped[str | None] = mapped_column(String(8))
    width: Mapped[int | None]
    height: Mapped[int | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    crc32: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    needed_until: Mapped[datetime] = mapped_column("used_at", UtcDateTime)


class ExportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Export(ActedBy, Partitioned, Base):
    """A batch export: its assets, its configuration, its progress and the storage key of its ZIP.

    A worker claims it by raising ``attempt`` and keeps it by renewing ``lease_until``. Once the
    lease has ended another worker may claim it, and the earlier worker notices that ``attempt`` has
    changed.
    """

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"
        ),
        Index("ix_exports_created_at", "org_id", "mode", "created_at", "id"),
        Index("ix_exports_status_lease_until", "status", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    asset_ids: Mapped[list[str]] = mapped_column(JSON, deferred=True)
    total: Mapped[int]
    processed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    storage_key: Mapped[str | None] = mapped_column(String(512))
    size: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


HAS_ZIP = Export.storage_key.is_not(None)
Index(
    "ix_exports_kept",
    Export.org_id,
    Export.mode,
    Export.finished_at,
    sqlite_where=HAS_ZIP,
    postgresql_where=HAS_ZIP,
)
"""Finds the oldest ZIPs that are kept."""
