"""The workspace: assets, collections, uploads, presets, renditions, exports."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

POSTGRESQL_SEARCH = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE EXTENSION IF NOT EXISTS btree_gin",
    "CREATE INDEX asset_search ON assets USING gin (org_id, mode, search gin_trgm_ops)",
)
# An index apart from its text, which triggers keep in step (SQLite FTS5 §4.4.3, external content
# tables). It knows rows by their rowid, which VACUUM may change: after one, INSERT INTO
# asset_search(asset_search) VALUES ('rebuild').
SQLITE_SEARCH = (
    """CREATE VIRTUAL TABLE asset_search
        USING fts5(search, content='assets', content_rowid='rowid', tokenize='trigram')""",
    """CREATE TRIGGER asset_search_insert AFTER INSERT ON assets BEGIN
        INSERT INTO asset_search(rowid, search) VALUES (new.rowid, new.search);
    END""",
    """CREATE TRIGGER asset_search_delete AFTER DELETE ON assets BEGIN
        INSERT INTO asset_search(asset_search, rowid, search)
        VALUES ('delete', old.rowid, old.search);
    END""",
    """CREATE TRIGGER asset_search_update AFTER UPDATE OF search ON assets BEGIN
        INSERT INTO asset_search(asset_search, rowid, search)
        VALUES ('delete', old.rowid, old.search);
        INSERT INTO asset_search(rowid, search) VALUES (new.rowid, new.search);
    END""",
)


def upgrade() -> None:
    op.create_table(
        "asset_counts",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("facet", sa.String(length=128), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count >= 0", name=op.f("ck_asset_counts_count")),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_asset_counts_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "mode", "facet", name=op.f("pk_asset_counts")),
    )
    op.create_table(
        "collections",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("place", sa.String(length=300), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "parent_id"],
            ["collections.org_id", "collections.id"],
            name=op.f("fk_collections_org_id_parent_id_collections"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_collections_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_collections_org_id_id")),
        sa.UniqueConstraint(
            "org_id", "mode", "place", name=op.f("uq_collections_org_id_mode_place")
        ),
    )
    op.create_index(
        "ix_collections_parent", "collections", ["org_id", "mode", "parent_id"], unique=False
    )

    op.create_table(
        "discarded_objects",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_discarded_objects_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "storage_key", name=op.f("pk_discarded_objects")),
    )
    op.create_table(
        "export_presets",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("max_width", sa.Integer(), nullable=True),
        sa.Column("max_height", sa.Integer(), nullable=True),
        sa.Column("preserve_aspect", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_export_presets_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_presets")),
        sa.UniqueConstraint(
            "org_id", "mode", "name", name=op.f("uq_export_presets_org_id_mode_name")
        ),
    )
    op.create_table(
        "exports",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("asset_ids", sa.JSON(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("processed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_exports_status"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_exports_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(
        "ix_exports_created_at", "exports", ["org_id", "mode", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_exports_status_lease_until", "exports", ["status", "lease_until"], unique=False
    )

    op.create_table(
        "renditions",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("recipe", sa.String(length=255), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("crc32", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_renditions_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renditions")),
        sa.UniqueConstraint(
            "org_id",
            "mode",
            "content",
            "recipe",
            name=op.f("uq_renditions_org_id_mode_content_recipe"),
        ),
    )
    op.create_index("ix_renditions_ready_used_at", "renditions", ["ready", "used_at"], unique=False)

    op.create_table(
        "storage_counters",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_storage_counters_bytes")),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_storage_counters_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_storage_counters")),
    )
    op.create_table(
        "uploads",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=False),
        sa.Column("mime_type", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_uploads_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("org_id", "storage_key", name=op.f("uq_uploads_org_id_storage_key")),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"], unique=False)

    op.create_table(
        "assets",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("media_type", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sort_name", sa.String(length=255), nullable=False),
        sa.Column("original_name", sa.String(length=255), nullable=False),
        sa.Column("mime_type", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=False),
        sa.Column("thumbnail_key", sa.String(length=512), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.String(length=32), nullable=True),
        sa.Column("location_x", sa.Double(), nullable=False),
        sa.Column("location_y", sa.Double(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("media_type IN ('IMAGE', 'VIDEO')", name=op.f("ck_assets_media_type")),
        sa.ForeignKeyConstraint(
            ["org_id", "collection_id"],
            ["collections.org_id", "collections.id"],
            name=op.f("fk_assets_org_id_collection_id_collections"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_assets_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_assets_org_id_id")),
        sa.UniqueConstraint("org_id", "storage_key", name=op.f("uq_assets_org_id_storage_key")),
    )
    for name, columns in (
        ("content", ["content"]),
        ("uploaded", ["uploaded_at", "id"]),
        ("name", ["sort_name", "id"]),
        ("size", ["size", "id"]),
        ("type_uploaded", ["media_type", "uploaded_at", "id"]),
        ("type_name", ["media_type", "sort_name", "id"]),
        ("type_size", ["media_type", "size", "id"]),
        ("collection_uploaded", ["collection_id", "uploaded_at", "id"]),
        ("collection_name", ["collection_id", "sort_name", "id"]),
        ("collection_size", ["collection_id", "size", "id"]),
    ):
        op.create_index(f"ix_assets_{name}", "assets", ["org_id", "mode", *columns], unique=False)

    op.create_table(
        "asset_tags",
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("asset_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "asset_id"],
            ["assets.org_id", "assets.id"],
            name=op.f("fk_asset_tags_org_id_asset_id_assets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_asset_tags_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "asset_id", "tag", name=op.f("pk_asset_tags")),
    )
    op.create_index(
        "ix_asset_tags_tag",
        "asset_tags",
        ["org_id", "mode", "tag", "uploaded_at", "asset_id"],
        unique=False,
    )
    create_search_index()


def create_search_index() -> None:
    """What finds a few letters anywhere in a text. No model declares it: see ``include_name`` in
    migrations/env.py."""
    statements = POSTGRESQL_SEARCH if op.get_bind().dialect.name == "postgresql" else SQLITE_SEARCH
    for statement in statements:
        op.execute(statement)
