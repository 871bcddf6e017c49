"""Bounds on what can be made again, claims that are taken over, uploads that live as long as their
URL."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "kept_bytes",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_kept_bytes_bytes")),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_kept_bytes_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "mode", "kind", name=op.f("pk_kept_bytes")),
    )
    op.execute(
        "INSERT INTO kept_bytes (org_id, mode, kind, bytes) SELECT org_id, mode, 'rendition', "
        "sum(coalesce(size, 0)) FROM renditions WHERE ready GROUP BY org_id, mode"
    )
    op.execute(
        "INSERT INTO kept_bytes (org_id, mode, kind, bytes) SELECT org_id, mode, 'export', "
        "sum(coalesce(size, 0)) FROM exports WHERE storage_key IS NOT NULL GROUP BY org_id, mode"
    )

    op.add_column(
        "idempotent_requests",
        sa.Column("mode", sa.String(length=8), nullable=False, server_default="live"),
    )
    op.add_column(
        "idempotent_requests",
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"),
    )
    op.add_column(
        "idempotent_requests", sa.Column("result_id", sa.String(length=32), nullable=True)
    )
    op.add_column("idempotent_requests", sa.Column("body_size", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE idempotent_requests SET mode = 'test' WHERE key_id IN (SELECT id FROM api_keys "
        "WHERE mode = 'test')"
    )
    has_body, has_zip = sa.column("body_key").is_not(None), sa.column("storage_key").is_not(None)
    op.create_index(
        "ix_idempotent_requests_kept",
        "idempotent_requests",
        ["org_id", "mode", "created_at"],
        sqlite_where=has_body,
        postgresql_where=has_body,
    )
    op.create_index(
        "ix_exports_kept",
        "exports",
        ["org_id", "mode", "finished_at"],
        sqlite_where=has_zip,
        postgresql_where=has_zip,
    )

    op.create_index("ix_renditions_kept", "renditions", ["org_id", "mode", "ready", "used_at"])
    op.create_index("ix_renditions_storage_key", "renditions", ["org_id", "storage_key"])

    op.add_column("uploads", sa.Column("refused", sa.Text(), nullable=True))
    op.create_index("ix_assets_thumbnail_key", "assets", ["org_id", "thumbnail_key"])
