"""Who pays for what: the payment provider's customers and subscriptions as Lightwell last saw them,
and its inbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned

PROVIDER_ID = 255
"""Longest id that Stripe promises."""


class BillingAccount(OrgOwned, Base):
    """An organization that has been at the fake Stripe, and the subscription that counts for it.

    ``customers`` numbers the provider's customers that it has had; ``customer_id`` is None after
    one was deleted. ``revision`` grows with every snapshot that is applied: one that was taken
    before it has come too late. ``plan_code`` is what is paid for, None for nothing; ``check_at``
    is when we ask, if we hear nothing before.
    """

    __tablename__ = "billing_accounts"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    customer_id: Mapped[str | None] = mapped_column(String(PROVIDER_ID), unique=True)
    customers: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    subscription_id: Mapped[str | None] = mapped_column(String(PROVIDER_ID))
    status: Mapped[str | None] = mapped_column(String(32))
    plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"))
    interval: Mapped[str | None] = mapped_column(String(8))
    period_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class StripeEvent(Base):
    """An event that Stripe sent. ``subject`` is the customer, or the charge, that must be looked at
    because of it.

    ``handled_at`` is set in the transaction that applied it; until then ``next_attempt_at`` is when
    it is looked at again. ``outcome`` says what came of it, or why nothing did yet.
    """

    __tablename__ = "stripe_events"
    __table_args__ = (
        Index("ix_stripe_events_subject", "subject"),
        Index("ix_stripe_events_next_attempt_at", "next_attempt_at"),
        Index("ix_stripe_events_handled_at", "handled_at"),
    )

    id: Mapped[str] = mapped_column(String(PROVIDER_ID), primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str | None] = mapped_column(String(PROVIDER_ID))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(String(500))


class AuditEntry(ActedBy, OrgOwned, Base):
    """Who changed what of an organization. ``before`` and ``after`` hold the values that differ."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_org_id_id", "org_id", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    action: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    event_id: Mapped[str | None] = mapped_column(String(PROVIDER_ID))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MeterEvent(OrgOwned, Base):
    """Live images that are yet to be reported to the provider's meter: one ledger entry of a
    metered organization."""

    __tablename__ = "meter_events"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    entry_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    images: Mapped[int]
