"""An organization's invitations, the notices that it got, and exports of its data."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned


class Invitation(OrgOwned, Base):
    """An open invitation to an organization. It ends when it is accepted, revoked or expired; the
    audit log remembers it."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("org_id", "email"),
        CheckConstraint("role IN ('admin', 'member', 'viewer')", name="role"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), index=True)
    role: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class UsageNotice(OrgOwned, Base):
    """A mail about usage that the owners got, once a month. ``name`` says which: ``plan 80``,
    ``cap 100``, ``key key_… 100``."""

    __tablename__ = "usage_notices"

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    period: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)


class DataExportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class DataExport(ActedBy, OrgOwned, Base):
    """A ZIP of all that an organization has. A worker holds it by a lease that it renews, so that
    another one takes over when it dies."""

    __tablename__ = "data_exports"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status"),
        Index("ix_data_exports_org_id_id", "org_id", "id"),
        Index("ix_data_exports_status_lease_until", "status", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    processed: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    storage_key: Mapped[str | None] = mapped_column(String(255))
    size: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
