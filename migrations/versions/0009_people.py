"""People sign in: sessions, mailed links, second factors, an outbox. Organizations get a slug,
invitations, settings and daily figures of usage. Accounts that exist count as confirmed."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

COLUMNS = {
    "users": (
        "name VARCHAR(120)",
        "confirmed_at {moment}",
        "totp_secret VARCHAR(64)",
        "totp_last_step INTEGER DEFAULT 0 NOT NULL",
        "last_org_id VARCHAR(32)",
    ),
    "organizations": (
        "slug VARCHAR(64)",
        "time_zone VARCHAR(64) DEFAULT 'UTC' NOT NULL",
        "default_quality INTEGER DEFAULT 80 NOT NULL",
        "default_format VARCHAR(8)",
        "image_cap INTEGER",
        "confirm_by {moment}",
        "delete_at {moment}",
        "deleted_at {moment}",
    ),
    "api_keys": (
        "created_by VARCHAR(32)",
        "image_cap INTEGER",
        "last_used_address VARCHAR(45)",
        "last_used_call VARCHAR(120)",
        "replaced_at {moment}",
    ),
    "memberships": ("steps_hidden BOOLEAN DEFAULT false NOT NULL",),
    "audit_entries": ("address VARCHAR(45)",),
}
DAY = {"sqlite": "date(created_at)", "postgresql": "(created_at AT TIME ZONE 'UTC')::date"}


def upgrade() -> None:
    _columns()
    _people()
    _organizations()
    _usage()
    op.execute("UPDATE users SET confirmed_at = created_at")
    _slugs()
    _past_days()


def _columns() -> None:
    """As both databases say it: a batch would copy the table on SQLite, and drop what refers to
    it."""
    moment = "DATETIME" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column.format(moment=moment)}")
    op.create_index("ix_organizations_slug", "organizations", ["slug"], unique=True)
    op.create_index("ix_organizations_delete_at", "organizations", ["delete_at"])
    op.create_index("ix_api_keys_created_by", "api_keys", ["created_by"])


def _people() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("second_factor_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("digest", name=op.f("uq_sign_ins_digest")),
    )
    op.create_index("ix_sign_ins_last_seen_at", "sign_ins", ["last_seen_at"])
    op.create_index("ix_sign_ins_user_id", "sign_ins", ["user_id"])

    op.create_table(
        "mailed_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('confirm', 'reset', 'change_email')", name=op.f("ck_mailed_links_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_mailed_links_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_mailed_links")),
    )
    op.create_index("ix_mailed_links_expires_at", "mailed_links", ["expires_at"])
    op.create_index("ix_mailed_links_user_id", "mailed_links", ["user_id"])

    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(length=1364), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_passkeys_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])

    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_recovery_codes_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "mails",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index("ix_mails_created_at", "mails", ["created_at"])
    op.create_index("ix_mails_next_attempt_at", "mails", ["next_attempt_at"])


def _organizations() -> None:
    op.create_table(
        "former_slugs",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_former_slugs_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_former_slugs")),
    )
    op.create_index("ix_former_slugs_org_id", "former_slugs", ["org_id"])

    op.create_table(
        "invitations",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('admin', 'member', 'viewer')", name=op.f("ck_invitations_role")
        ),
        sa.ForeignKeyConstraint(
            ["invited_by"],
            ["users.id"],
            name=op.f("fk_invitations_invited_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_invitations_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
        sa.UniqueConstraint("org_id", "email", name=op.f("uq_invitations_org_id_email")),
    )
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.create_index("ix_invitations_invited_by", "invitations", ["invited_by"])

    op.create_table(
        "data_exports",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("processed", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("storage_key", sa.String(length=255), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_data_exports_status")
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_data_exports_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_exports")),
    )
    op.create_index("ix_data_exports_expires_at", "data_exports", ["expires_at"])
    op.create_index("ix_data_exports_org_id_id", "data_exports", ["org_id", "id"])
    op.create_index("ix_data_exports_status_lease_until", "data_exports", ["status", "lease_until"])


def _usage() -> None:
    op.create_table(
        "usage_days",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_usage_days_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "day", "mode", "kind", "actor_kind", "actor_id", name=op.f("pk_usage_days")
        ),
    )
    op.create_table(
        "error_days",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_error_days_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "day", "mode", "code", name=op.f("pk_error_days")),
    )
    op.create_table(
        "key_counters",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("period", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_key_counters_reserved")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_key_counters_used")),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_key_counters_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "key_id", "period", name=op.f("pk_key_counters")),
    )
    op.create_index("ix_key_counters_period", "key_counters", ["period"])
    op.create_index("ix_usage_counters_period", "usage_counters", ["period"])
    op.create_table(
        "usage_notices",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("period", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_usage_notices_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "period", "name", name=op.f("pk_usage_notices")),
    )


def _slugs() -> None:
    """One for each organization, made from its name; a number makes it unique."""
    connection, taken = op.get_bind(), set[str]()
    table = sa.table("organizations", sa.column("id"), sa.column("name"), sa.column("slug"))
    for row in connection.execute(sa.select(table.c.id, table.c.name).order_by(table.c.id)).all():
        stem = re.sub("[^a-z0-9]+", "-", row.name.lower()).strip("-")[:48] or "organization"
        slug, number = stem, 1
        while slug in taken:
            number += 1
            slug = f"{stem}-{number}"
        taken.add(slug)
        connection.execute(sa.update(table).where(table.c.id == row.id).values(slug=slug))


def _past_days() -> None:
    """The daily figures of what is in the ledgers."""
    day = DAY[op.get_bind().dialect.name]
    for ledger, mode in (("usage_entries", "live"), ("daily_entries", "test")):
        op.execute(
            "INSERT INTO usage_days (org_id, day, mode, kind, actor_kind, actor_id, images) "
            f"SELECT org_id, {day}, '{mode}', kind, actor_kind, actor_id, sum(images) "
            f"FROM {ledger} WHERE state = 'settled' "
            f"GROUP BY org_id, {day}, kind, actor_kind, actor_id HAVING sum(images) > 0"
        )
