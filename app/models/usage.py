"""What an organization used: a ledger, and a counter a month that the ledger's entries add up to."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned


class EntryState(StrEnum):
    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"


class UsageEntry(OrgOwned, Base):
    """One act of using: ``images`` are reserved before the work and settled (or released) once, after it.

    ``reference`` names the request that must not be charged twice, where the client gave it a name.
    """

    __tablename__ = "usage_entries"
    __table_args__ = (
        UniqueConstraint("org_id", "reference"),
        CheckConstraint("state IN ('reserved', 'settled', 'released')", name="state"),
        CheckConstraint("images >= 0", name="images"),
        Index("ix_usage_entries_state_lease_until", "state", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    period: Mapped[date]
    state: Mapped[str] = mapped_column(String(16))
    images: Mapped[int]
    reference: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UsageCounter(OrgOwned, Base):
    """Images of one organization in one calendar month (``period`` is its first day, UTC)."""

    __tablename__ = "usage_counters"
    __table_args__ = (
        CheckConstraint("used >= 0", name="used"),
        CheckConstraint("reserved >= 0", name="reserved"),
    )

    org_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    period: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
