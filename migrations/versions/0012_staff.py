"""The staff console: roles of our own people, their log, versions of plans, blocks, announcements,
the log of requests; grants that end, raised limits and suspensions; what finds an organization."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models import folded  # what it writes must be what the application looks for

revision = "0012"
down_revision = "0011"

BATCH = 10_000
COLUMNS = {
    "organizations": (
        "granted_until {moment}",
        "paid_plan_code VARCHAR(32) "
        "CONSTRAINT fk_organizations_paid_plan_code_plans REFERENCES plans (code)",
        "raised_limits JSON",
        "raised_until {moment}",
        "suspended_at {moment}",
        "suspended_reason VARCHAR(500)",
        "last_seen_at {moment}",
        "folded_name VARCHAR(120) {bytes}",
    ),
    "users": (
        "staff_role VARCHAR(16) CONSTRAINT ck_users_staff_role "
        "CHECK (staff_role IN ('admin', 'billing', 'support'))",
        "folded_name VARCHAR(120) {bytes}",
        "mail_domain VARCHAR(320)",
    ),
    "sign_ins": ("viewing_org_id VARCHAR(32)", "viewing_until {moment}"),
    "plans": ("name VARCHAR(64)", "tagline VARCHAR(160)", "price_text VARCHAR(80)"),
    "stripe_events": ("payload JSON",),
}
INDEXES = (
    ("ix_organizations_folded_name_id", "organizations", ["folded_name", "id"]),
    ("ix_organizations_last_seen_at_id", "organizations", ["last_seen_at", "id"]),
    ("ix_organizations_granted_until", "organizations", ["granted_until"]),
    ("ix_users_folded_name", "users", ["folded_name"]),
    ("ix_users_staff_role", "users", ["staff_role"]),
    ("ix_users_mail_domain_id", "users", ["mail_domain", "id"]),
    ("ix_api_keys_last4", "api_keys", ["last4"]),
    ("ix_billing_accounts_subscription_id", "billing_accounts", ["subscription_id"]),
    ("ix_mails_recipient_created_at", "mails", ["recipient", "created_at"]),
    ("ix_stripe_events_received_at", "stripe_events", ["received_at", "id"]),
    ("ix_stripe_events_type", "stripe_events", ["type", "received_at", "id"]),
    ("ix_usage_counters_period_used", "usage_counters", ["period", "used", "org_id"]),
    ("ix_audit_entries_action_id", "audit_entries", ["action", "id"]),
    ("ix_usage_days_day", "usage_days", ["day"]),
    ("ix_storage_counters_bytes_org_id", "storage_counters", ["bytes", "org_id"]),
    ("ix_usage_entries_org_id_id", "usage_entries", ["org_id", "id"]),
)
PREFIXES = (
    ("ix_users_email_prefix", "users", "email"),
    ("ix_organizations_slug_prefix", "organizations", "slug"),
    ("ix_stripe_events_subject_prefix", "stripe_events", "subject"),
)
"""Indexes that find by the beginning of a text, whatever the database sorts by."""
SIGNS = ("flag", "suspended_at", "confirm_by", "deleted_at")
"""Columns that are set on few organizations, which an index finds."""
KEPT = "400 days"
"""How much older than the newest entry of the staff's log one must be to be deleted."""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    moment = "DATETIME" if is_sqlite else "TIMESTAMP WITH TIME ZONE"
    by_bytes = "" if is_sqlite else 'COLLATE "C"'
    # A batch would copy the table on SQLite, and drop what refers to it.
    for table, columns in COLUMNS.items():
        for column in columns:
            definition = column.format(moment=moment, bytes=by_bytes)
            op.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    op.execute("UPDATE users SET staff_role = 'admin' WHERE is_staff")
    op.execute("ALTER TABLE users DROP COLUMN is_staff")
    op.execute(
        "UPDATE organizations SET paid_plan_code = (SELECT plan_code FROM billing_accounts "
        "WHERE billing_accounts.org_id = organizations.id)"
    )
    _fold_names("organizations")
    _fold_names("users")
    at = "instr(email, '@')" if is_sqlite else "strpos(email, '@')"
    op.execute(f"UPDATE users SET mail_domain = substr(email, {at} + 1)")
    op.drop_index("ix_usage_counters_period", "usage_counters")
    for name, table, of in INDEXES:
        op.create_index(name, table, of)
    for name, table, of in PREFIXES:
        op.create_index(name, table, [of], postgresql_ops={of: "varchar_pattern_ops"})
    for sign in SIGNS:
        _partial_index(f"ix_organizations_{sign}", "organizations", ["id"], sign)
    op.create_index("ix_invitations_email", "invitations", ["email"])
    is_unconfirmed = sa.text("confirmed_at IS NULL")
    op.create_index(
        "ix_users_unconfirmed", "users", ["id"],
        sqlite_where=is_unconfirmed, postgresql_where=is_unconfirmed,
    )  # fmt: skip
    _staff_log()
    _decisions()
    _request_log()
    _guard(is_sqlite)


def _fold_names(table: str) -> None:
    for rows in _batches(table):
        values = [{"id": row.id, "folded": folded(row.name)} for row in rows if row.name]
        if values:
            op.get_bind().execute(
                sa.text(f"UPDATE {table} SET folded_name = :folded WHERE id = :id"), values
            )


def _batches(table: str) -> Iterator[Sequence[Any]]:
    statement = sa.text(f"SELECT id, name FROM {table} WHERE id > :last ORDER BY id LIMIT {BATCH}")
    last = ""
    while found := op.get_bind().execute(statement, {"last": last}).all():
        yield found
        last = found[-1].id


def _staff_log() -> None:
    op.create_table(
        "staff_entries",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("org_id", sa.String(length=32), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_staff_entries")),
    )
    for name in ("org_id", "user_id", "action", "subject"):
        op.create_index(f"ix_staff_entries_{name}_number", "staff_entries", [name, "number"])
    op.create_index("ix_staff_entries_created_at", "staff_entries", ["created_at"])
    head = op.create_table(
        "staff_log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_log_head")),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "hash": "0" * 64}])


def _decisions() -> None:
    op.create_table(
        "plan_versions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plan_code", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_versions")),
        sa.UniqueConstraint("plan_code", "number", name=op.f("uq_plan_versions_plan_code_number")),
    )
    op.create_table(
        "blocks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('network', 'mail_domain')", name=op.f("ck_blocks_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocks")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_blocks_kind_value")),
    )
    op.create_index("ix_blocks_until", "blocks", ["until"])
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("plan_code", sa.String(length=32), nullable=True),
        sa.Column("org_id", sa.String(length=32), nullable=True),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('banner', 'maintenance')", name=op.f("ck_announcements_kind")),
        sa.ForeignKeyConstraint(
            ["plan_code"], ["plans.code"], name=op.f("fk_announcements_plan_code_plans")
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_announcements_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
    )
    for name in ("org_id", "ends_at"):
        op.create_index(f"ix_announcements_{name}", "announcements", [name])


def _request_log() -> None:
    op.create_table(
        "request_entries",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("route", sa.String(length=120), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=True),
        sa.Column("bytes_out", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_request_entries_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_entries")),
    )
    op.create_index("ix_request_entries_org_id_id", "request_entries", ["org_id", "id"])
    op.create_index("ix_request_entries_created_at", "request_entries", ["created_at"])
    for name, columns in (("errors", ["org_id", "id"]), ("codes", ["org_id", "code", "id"])):
        _partial_index(f"ix_request_entries_{name}", "request_entries", columns, "code")
    failed = sa.text("status >= 500")
    op.create_index(
        "ix_request_entries_failures",
        "request_entries",
        ["created_at"],
        sqlite_where=failed,
        postgresql_where=failed,
    )


def _partial_index(name: str, table: str, columns: list[str], of: str) -> None:
    """An index of the rows that have a value in the column ``of``."""
    has_value = sa.text(f"{of} IS NOT NULL")
    op.create_index(name, table, columns, sqlite_where=has_value, postgresql_where=has_value)


def _guard(is_sqlite: bool) -> None:
    """Entries of the staff's log, and versions of plans, are neither changed nor deleted, whoever
    asks; but entries of the log that are ``KEPT`` older than the newest may be deleted."""
    if is_sqlite:
        old = (
            "datetime(OLD.created_at) >= datetime((SELECT max(created_at) FROM staff_entries), "
            f"'-{KEPT}')"
        )
        for table, key, condition in (
            ("staff_entries", "number", f"WHEN {old}"),
            ("plan_versions", "id", ""),
        ):
            # INSERT OR REPLACE deletes without asking the other triggers.
            op.execute(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
            for event, when in (("UPDATE", ""), ("DELETE", condition)):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} {when} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        "CREATE FUNCTION refuse_early_deletion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.created_at >= (SELECT max(created_at) FROM staff_entries) "
        f"- INTERVAL '{KEPT}' THEN "
        "RAISE EXCEPTION 'staff_entries is append-only'; END IF; RETURN OLD; END $$"
    )
    for table, event, level, function in (
        ("staff_entries", "UPDATE", "ROW", "refuse_change"),
        ("staff_entries", "DELETE", "ROW", "refuse_early_deletion"),
        ("staff_entries", "TRUNCATE", "STATEMENT", "refuse_change"),
        ("plan_versions", "UPDATE", "ROW", "refuse_change"),
        ("plan_versions", "DELETE", "ROW", "refuse_change"),
        ("plan_versions", "TRUNCATE", "STATEMENT", "refuse_change"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"FOR EACH {level} EXECUTE FUNCTION {function}()"
        )
