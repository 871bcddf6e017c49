"""Plans and billing: the provider's customers and subscriptions, its inbox, the audit trail, what
is metered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Not as a batch: SQLite would copy the table, and deleting the old one would delete whatever
    # belongs to it.
    op.execute(
        "ALTER TABLE organizations ADD COLUMN granted_plan_code VARCHAR(32) CONSTRAINT "
        "fk_organizations_granted_plan_code_plans REFERENCES plans (code)"
    )
    op.add_column("organizations", sa.Column("plan_lapses_at", MOMENT, nullable=True))
    op.add_column(
        "organizations",
        sa.Column("metered", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("organizations", sa.Column("flag", sa.String(length=255), nullable=True))
    op.add_column(
        "plans", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.create_index("ix_organizations_plan_lapses_at", "organizations", ["plan_lapses_at"])
    op.execute("UPDATE organizations SET granted_plan_code = plan_code WHERE plan_code <> 'FREE'")
    op.create_table(
        "billing_accounts",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("customer_id", sa.String(length=255), nullable=True),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=True),
        sa.Column("plan_code", sa.String(length=32), nullable=True),
        sa.Column("interval", sa.String(length=8), nullable=True),
        sa.Column("period_end", MOMENT, nullable=True),
        sa.Column("cancel_at", MOMENT, nullable=True),
        sa.Column("overdue_since", MOMENT, nullable=True),
        sa.Column("check_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_billing_accounts_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["plan_code"], ["plans.code"], name=op.f("fk_billing_accounts_plan_code_plans")
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_billing_accounts")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_billing_accounts_customer_id")),
    )
    op.create_index("ix_billing_accounts_check_at", "billing_accounts", ["check_at"])
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("handled_at", MOMENT, nullable=True),
        sa.Column("next_attempt_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_events")),
    )
    for column in ("subject", "next_attempt_at", "handled_at"):
        op.create_index(f"ix_stripe_events_{column}", "stripe_events", [column])
    op.create_table(
        "audit_entries",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_audit_entries_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_org_id_id", "audit_entries", ["org_id", "id"])
    op.create_table(
        "meter_events",
        sa.Column("org_id", sa.String(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organizations.id"],
            name=op.f("fk_meter_events_org_id_organizations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "entry_id", name=op.f("pk_meter_events")),
    )
