"""The images dialect: published images, allowed hosts, what test keys made expires."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "allowed_hosts",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_allowed_hosts_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "host", name=op.f("pk_allowed_hosts")),
    )
    # Not as a batch: SQLite would copy the table, and lose the triggers that keep its search index.
    op.add_column("assets", sa.Column("public_token", sa.String(length=32), nullable=True))
    op.create_index("ix_assets_public_token", "assets", ["public_token"], unique=True)
    is_test = sa.column("mode") == "test"
    op.create_index(
        "ix_assets_of_test_keys",
        "assets",
        ["uploaded_at", "org_id"],
        sqlite_where=is_test,
        postgresql_where=is_test,
    )
