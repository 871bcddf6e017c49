"""What our own people do and decide: the staff's log, versions of plans, blocks, announcements.

No organization owns these rows, also where they are about one.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime
from app.tenancy import AppendOnly


class StaffRole(StrEnum):
    """A role of our own people, the highest first."""

    ADMIN = "admin"
    BILLING = "billing"
    SUPPORT = "support"

    def includes(self, other: "StaffRole") -> bool:
        """Whether this role may do all that ``other`` may."""
        roles = list(StaffRole)
        return roles.index(self) <= roles.index(other)


class StaffEntry(AppendOnly, Base):
    """Something that staff did: who, to what, and why.

    ``subject`` names what it was done to: the id of a user, a plan's code. ``email`` is that of the
    person at the time. Entries are numbered without gaps, and each holds the hash of the one before
    it, so that a changed or missing one is noticed; triggers keep the application itself from
    changing or deleting them (docs/decisions/044).
    """

    __tablename__ = "staff_entries"
    __table_args__ = (
        Index("ix_staff_entries_org_id_number", "org_id", "number"),
        Index("ix_staff_entries_user_id_number", "user_id", "number"),
        Index("ix_staff_entries_action_number", "action", "number"),
        Index("ix_staff_entries_subject_number", "subject", "number"),
        Index("ix_staff_entries_created_at", "created_at"),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[str] = mapped_column(String(32))
    email: Mapped[str] = mapped_column(String(320))
    action: Mapped[str] = mapped_column(String(64))
    org_id: Mapped[str | None] = mapped_column(String(32))
    subject: Mapped[str | None] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(String(500))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    address: Mapped[str | None] = mapped_column(String(45))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class StaffLogHead(Base):
    """The number and hash of the last entry, in one row. Writers lock it, and it tells when the end
    of the log was cut off."""

    __tablename__ = "staff_log_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))


class PlanVersion(AppendOnly, Base):
    """A plan's values as they were from ``created_at`` on. ``user_id`` and ``email`` name who set
    them."""

    __tablename__ = "plan_versions"
    __table_args__ = (UniqueConstraint("plan_code", "number"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    plan_code: Mapped[str] = mapped_column(String(32))
    number: Mapped[int]
    values: Mapped[dict[str, Any]] = mapped_column(JSON)
    user_id: Mapped[str] = mapped_column(String(32))
    email: Mapped[str] = mapped_column(String(320))
    reason: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BlockKind(StrEnum):
    NETWORK = "network"
    MAIL_DOMAIN = "mail_domain"


class Block(Base):
    """What is refused until ``until``, or for good: requests from a network, an address being the
    smallest one, or accounts with addresses at a mail domain."""

    __tablename__ = "blocks"
    __table_args__ = (
        CheckConstraint("kind IN ('network', 'mail_domain')", name="kind"),
        UniqueConstraint("kind", "value"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(String(500))
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class AnnouncementKind(StrEnum):
    BANNER = "banner"
    MAINTENANCE = "maintenance"


class Announcement(Base):
    """A banner for all organizations, those of a plan, or one; or maintenance, during which nothing
    can be written. It holds from ``starts_at`` until ``ends_at``."""

    __tablename__ = "announcements"
    __table_args__ = (CheckConstraint("kind IN ('banner', 'maintenance')", name="kind"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(String(500))
    plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"))
    org_id: Mapped[str | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
