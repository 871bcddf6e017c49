"""The library learns where its assets come from and what they look like. Deleted assets go to a
trash. Large files are uploaded in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

ORIGINS = (
    "origin VARCHAR(16) DEFAULT 'upload' NOT NULL",
    "made_from VARCHAR(32)",
    "operations JSON",
    "added_by_kind VARCHAR(8)",
    "added_by_id VARCHAR(32)",
    "details JSON",
)


def upgrade() -> None:
    # A batch would copy the table on SQLite, and drop what refers to it.
    for column in ORIGINS:
        op.execute(f"ALTER TABLE assets ADD COLUMN {column}")
    op.execute("ALTER TABLE uploads ADD COLUMN multipart_id VARCHAR(1024)")
    op.create_index("ix_assets_made_from", "assets", ["org_id", "mode", "made_from"])
    _trash()


def _trash() -> None:
    op.create_table(
        "trashed_assets",
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_by_kind", sa.String(length=8), nullable=False),
        sa.Column("deleted_by_id", sa.String(length=32), nullable=False),
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
        sa.Column("public_token", sa.String(length=32), nullable=True),
        sa.Column("origin", sa.String(length=16), server_default="upload", nullable=False),
        sa.Column("made_from", sa.String(length=32), nullable=True),
        sa.Column("operations", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("added_by_kind", sa.String(length=8), nullable=True),
        sa.Column("added_by_id", sa.String(length=32), nullable=True),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_trashed_assets_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trashed_assets")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_trashed_assets_org_id_id")),
    )
    for name, columns in {
        "deleted": ["org_id", "mode", "deleted_at", "id"],
        "deleted_at": ["deleted_at"],
        "content": ["org_id", "mode", "content"],
        "storage_key": ["org_id", "storage_key"],
        "thumbnail_key": ["org_id", "thumbnail_key"],
    }.items():
        op.create_index(f"ix_trashed_assets_{name}", "trashed_assets", columns)
