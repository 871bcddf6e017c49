"""The usage of an organization: ledgers, and counters that are the sums of a ledger's entries.

Live images have a ledger and a counter per month; images of test keys have a ledger and a counter
per day. The tables are separate, so that no sum over live usage includes images that are neither
sold nor reported.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned


class EntryState(StrEnum):
    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"


class LedgerEntry(ActedBy, OrgOwned, Base):
    """One use: ``images`` are reserved before the work and settled or released once, after it.

    ``reference`` is the id of the claimed request that must not be charged twice, NULL for a
    request without an ``Idempotency-Key``.
    """

    __abstract__ = True

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("org_id", "reference"),
            CheckConstraint("state IN ('reserved', 'settled', 'released')", name="state"),
            CheckConstraint("images >= 0", name="images"),
            Index(f"ix_{cls.__tablename__}_state_lease_until", "state", "lease_until"),
        )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    period: Mapped[date]
    state: Mapped[str] = mapped_column(String(16))
    images: Mapped[int]
    reference: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Counter(OrgOwned, Base):
    """The images of one organization in one period. ``period`` is its first day (UTC)."""

    __abstract__ = True
    __table_args__: tuple[Any, ...] = (
        CheckConstraint("used >= 0", name="used"),
        CheckConstraint("reserved >= 0", name="reserved"),
    )

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    period: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)


class UsageEntry(LedgerEntry):
    """Live images. Of the settled entries, those of the kind ``credit`` take images away from the
    month; all others add them."""

    __tablename__ = "usage_entries"


Index("ix_usage_entries_org_id_id", UsageEntry.org_id, UsageEntry.id)
"""For the ledger as staff read it, the newest entry first."""


class UsageCounter(Counter):
    """Live images in a calendar month."""

    __tablename__ = "usage_counters"
    __table_args__ = (
        *Counter.__table_args__,
        Index("ix_usage_counters_period_used", "period", "used", "org_id"),
    )


class DailyEntry(LedgerEntry):
    """Images of a test key."""

    __tablename__ = "daily_entries"


class DailyCounter(Counter):
    """Images of test keys in a day."""

    __tablename__ = "daily_counters"


class UsageDay(ActedBy, OrgOwned, Base):
    """The images that one actor made in a day (UTC) by one kind of work, in one mode. Written where
    a reservation is settled, so that pages about usage never read the ledger. Those of the kind
    ``credit`` are negative."""

    __tablename__ = "usage_days"
    __table_args__ = (Index("ix_usage_days_day", "day"),)

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    actor_kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    actor_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    images: Mapped[int]


class ErrorDay(OrgOwned, Base):
    """The refused requests of an organization in a day (UTC), by the code of the error."""

    __tablename__ = "error_days"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    requests: Mapped[int]


class KeyCounter(OrgOwned, Base):
    """The live images of one key, and of those that it replaced, in a calendar month; only for
    months in which it had an ``image_cap``.

    ``key_id`` is the first of the keys that were rotated into it.
    """

    __tablename__ = "key_counters"
    __table_args__ = (
        CheckConstraint("used >= 0", name="used"),
        CheckConstraint("reserved >= 0", name="reserved"),
        Index("ix_key_counters_period", "period"),
    )

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    period: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
