"""Billing: the payment provider's customers and subscriptions as Lightwell last read them, and the
inbox of its events."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import AppendOnly, OrgOwned

MAX_PROVIDER_ID_LENGTH = 255
"""Stripe promises that no id is longer."""


class BillingAccount(OrgOwned, Base):
    """An organization that has begun to buy, and the subscription that counts for it.

    ``customers`` is how many customers the organization has had at the provider; ``customer_id`` is
    None after its customer was deleted. ``revision`` grows with every snapshot that is applied, so
    that an older snapshot is recognised as outdated. ``plan_code`` is the plan that is paid for,
    None for no plan. ``check_at`` is when Lightwell asks the provider, if no event arrives before.
    """

    __tablename__ = "billing_accounts"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    customer_id: Mapped[str | None] = mapped_column(String(MAX_PROVIDER_ID_LENGTH), unique=True)
    customers: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    subscription_id: Mapped[str | None] = mapped_column(String(MAX_PROVIDER_ID_LENGTH), index=True)
    status: Mapped[str | None] = mapped_column(String(32))
    plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"))
    interval: Mapped[str | None] = mapped_column(String(8))
    period_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class StripeEvent(Base):
    """An event that Stripe sent. ``subject`` is the customer or the charge that the event is about,
    ``payload`` the event as it came, without what names people; it is read only when asked for.

    ``handled_at`` is set in the transaction that applies the event; until then ``next_attempt_at``
    is when it is tried again. ``outcome`` is the result, or the reason why there is none yet.
    """

    __tablename__ = "stripe_events"
    __table_args__ = (
        Index("ix_stripe_events_subject", "subject"),
        Index("ix_stripe_events_next_attempt_at", "next_attempt_at"),
        Index("ix_stripe_events_handled_at", "handled_at"),
        Index("ix_stripe_events_received_at", "received_at", "id"),
        Index("ix_stripe_events_type", "type", "received_at", "id"),
        Index(
            "ix_stripe_events_subject_prefix",
            "subject",
            postgresql_ops={"subject": "varchar_pattern_ops"},
        ),
    )

    id: Mapped[str] = mapped_column(String(MAX_PROVIDER_ID_LENGTH), primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str | None] = mapped_column(String(MAX_PROVIDER_ID_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(String(500))
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)


class AuditEntry(ActedBy, AppendOnly, OrgOwned, Base):
    """A change to an organization, with its actor. ``before`` and ``after`` hold the values that
    differ; ``address`` is the IP address of the request that made it, if one did."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_org_id_id", "org_id", "id"),
        Index("ix_audit_entries_action_id", "action", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    action: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    event_id: Mapped[str | None] = mapped_column(String(MAX_PROVIDER_ID_LENGTH))
    address: Mapped[str | None] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MeterEvent(OrgOwned, Base):
    """The live images of one ledger entry of a metered organization that are not yet reported to
    the provider's meter."""

    __tablename__ = "meter_events"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    entry_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    images: Mapped[int]
