"""Who acts is a kind and an id: keys so far, and for the audit also parts of the system. Two
columns get the names that they are spoken of by."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KINDS = "actor_kind IN ('key', 'user', 'staff', 'system')"
BY_KEYS = ("usage_entries", "daily_entries", "exports")


def upgrade() -> None:
    for table in BY_KEYS:
        # As both databases say it: a batch would copy the table on SQLite, without its checks.
        op.execute(f"ALTER TABLE {table} RENAME COLUMN key_id TO actor_id")
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN actor_kind VARCHAR(8) DEFAULT 'key' NOT NULL "
            f"CONSTRAINT ck_{table}_actor_kind CHECK ({KINDS})"
        )
    _idempotent_requests()
    _audit_entries()
    _renditions()
    op.execute("ALTER TABLE api_keys RENAME COLUMN line_id TO original_key_id")


def _idempotent_requests() -> None:
    with op.batch_alter_table("idempotent_requests") as batch:
        batch.drop_constraint("uq_idempotent_requests_asked", type_="unique")
        batch.alter_column("key_id", new_column_name="actor_id")
        batch.add_column(_actor_kind("key"))
    with op.batch_alter_table("idempotent_requests") as batch:
        batch.create_check_constraint(op.f("ck_idempotent_requests_actor_kind"), KINDS)
        batch.create_unique_constraint(
            "uq_idempotent_requests_asked",
            ["org_id", "actor_kind", "actor_id", "method", "path", "idempotency_key"],
        )


def _audit_entries() -> None:
    with op.batch_alter_table("audit_entries") as batch:
        batch.alter_column(
            "actor",
            new_column_name="actor_id",
            existing_type=sa.String(length=320),
            type_=sa.String(length=32),
        )
        batch.add_column(_actor_kind("system"))
    op.execute("UPDATE audit_entries SET actor_kind = 'key' WHERE substr(actor_id, 1, 4) = 'key_'")
    with op.batch_alter_table("audit_entries") as batch:
        batch.create_check_constraint(op.f("ck_audit_entries_actor_kind"), KINDS)


def _renditions() -> None:
    with op.batch_alter_table("renditions") as batch:
        batch.drop_constraint(op.f("uq_renditions_org_id_mode_content_recipe"), type_="unique")
        batch.alter_column("recipe", new_column_name="transform_key")
    with op.batch_alter_table("renditions") as batch:
        batch.create_unique_constraint(
            op.f("uq_renditions_org_id_mode_content_transform_key"),
            ["org_id", "mode", "content", "transform_key"],
        )
    op.execute(
        "UPDATE renditions SET transform_key = replace(transform_key, 'stamp=True', "
        "'watermarked_for_test=True')"
    )


def _actor_kind(default: str) -> sa.Column[str]:
    return sa.Column("actor_kind", sa.String(length=8), server_default=default, nullable=False)
