"""Plans, organizations, users, memberships and API keys. No organization owns these rows; see
``app.tenancy``."""

import unicodedata
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    and_,
    case,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.extensions import Base
from app.models.types import UtcDateTime

FREE = "FREE"
"""The plan of an organization that neither pays for a plan nor was granted one."""


FOLDED_CHARACTERS = 120


def folded(name: str) -> str:
    """A name's beginning as it is searched for: without regard to case."""
    return unicodedata.normalize("NFKC", name).casefold().strip()[:FOLDED_CHARACTERS]


def domain_of(email: str) -> str:
    """What stands after the @ of an address."""
    return email.rpartition("@")[2]


class Role(StrEnum):
    """A user's role in an organization, the highest first."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that ``other`` may."""
        roles = list(Role)
        return roles.index(self) <= roles.index(other)


class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"


class Plan(Base):
    """The price and the limits of an organization. Plans are rows, so that staff can edit them;
    NULL means without limit.

    ``price_cents`` is NULL for a plan that is sold by contract. ``name``, ``tagline`` and
    ``price_text`` replace what pages say otherwise. A plan that was made for one customer is not
    ``listed``.
    """

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int]
    price_cents: Mapped[int | None]
    monthly_images: Mapped[int | None]
    requests_per_second: Mapped[int]
    storage_mb: Mapped[int | None]
    file_mb: Mapped[int]
    batch_files: Mapped[int]
    workspace_api: Mapped[bool]
    listed: Mapped[bool] = mapped_column(default=True)
    name: Mapped[str | None] = mapped_column(String(64))
    tagline: Mapped[str | None] = mapped_column(String(160))
    price_text: Mapped[str | None] = mapped_column(String(80))

    @property
    def title(self) -> str:
        """How pages call it."""
        return self.name or self.code.capitalize()


class Organization(Base):
    """The tenant.

    ``slug`` names it in the dashboard's paths. ``confirm_by`` is set until an owner has confirmed
    their e-mail address: from then on live keys are refused. ``image_cap`` is a monthly ceiling of
    live images that the organization gave itself; ``default_quality`` and ``default_format`` are
    what the dashboard's forms begin with. ``delete_at`` is set while a deletion can be taken back,
    ``deleted_at`` on the empty row that stays after it, for the audit log.

    ``plan_code`` is the higher of the plan that is paid for (``paid_plan_code``) and the plan that
    was granted by contract or by staff (``granted_plan_code``), until ``granted_until`` if that is
    set. ``plan_lapses_at`` is set while a payment is overdue: from then on only the granted plan
    holds. ``raised_limits`` are limits by the names of the plan's columns that hold instead of the
    plan's, where they are higher, until ``raised_until``. ``metered`` organizations pay by the
    image.

    ``flag`` says what staff should look into. While ``suspended_at`` is set, keys are refused.
    ``last_seen_at`` is when a key or a member was seen last, to the hour. ``folded_name`` is the
    name as staff search for it.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        Index("ix_organizations_folded_name_id", "folded_name", "id"),
        Index("ix_organizations_last_seen_at_id", "last_seen_at", "id"),
        Index(
            "ix_organizations_slug_prefix", "slug", postgresql_ops={"slug": "varchar_pattern_ops"}
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    plan_code: Mapped[str] = mapped_column(ForeignKey("plans.code"), index=True)
    granted_plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"))
    granted_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    paid_plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"))
    plan_lapses_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    raised_limits: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    raised_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    metered: Mapped[bool] = mapped_column(default=False)
    flag: Mapped[str | None] = mapped_column(String(255))
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    suspended_reason: Mapped[str | None] = mapped_column(String(500))
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    folded_name: Mapped[str | None] = mapped_column(String(FOLDED_CHARACTERS))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    default_quality: Mapped[int] = mapped_column(default=80)
    default_format: Mapped[str | None] = mapped_column(String(8))
    image_cap: Mapped[int | None]
    confirm_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delete_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def plan_code_at(cls, now: datetime) -> ColumnElement[str]:
        """The plan that holds at ``now``. It is computed, so that no job has to run at the moment
        when a plan lapses or a grant ends."""
        has_lapsed, has_ended = cls.plan_lapses_at <= now, cls.granted_until <= now
        return case(
            (and_(has_lapsed, has_ended), FREE),
            (has_lapsed, func.coalesce(cls.granted_plan_code, FREE)),
            (has_ended, func.coalesce(cls.paid_plan_code, FREE)),
            else_=cls.plan_code,
        )

    def granted_at(self, moment: datetime) -> str | None:
        """The plan that is granted at that moment, None if none is."""
        until = self.granted_until
        return self.granted_plan_code if until is None or moment < until else None

    @validates("name")
    def _fold_name(self, _attribute: str, name: str) -> str:
        self.folded_name = folded(name)
        return name


for _sign in ("flag", "suspended_at", "confirm_by", "deleted_at"):
    IS_SET = getattr(Organization, _sign).is_not(None)
    Index(
        f"ix_organizations_{_sign}",
        Organization.id,
        sqlite_where=IS_SET,
        postgresql_where=IS_SET,
    )
"""Find the few organizations that have such a sign, for lists of the staff."""


class FormerSlug(Base):
    """A slug that an organization had before. Its pages lead on to those of the present slug."""

    __tablename__ = "former_slugs"

    slug: Mapped[str] = mapped_column(String(64), primary_key=True)
    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )


class User(Base):
    """A person. ``email`` is stored normalised. An account without a password is not yet claimed.

    ``confirmed_at`` is when the person opened a link that was mailed to ``email``; before that
    nobody can sign in. ``totp_last_step`` is the time step of the last one-time code that was
    taken, because each is good once (RFC 6238 §5.2). ``last_org_id`` is the organization whose
    pages the person saw last.

    ``mailbox`` is where mail to ``email`` arrives. It is NULL for users who shared a mailbox before
    the rule of one account per mailbox. ``mail_domain`` is what follows the @ of ``email``.

    ``staff_role`` is the role of our own people (``StaffRole``), NULL for everybody else.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("staff_role IN ('admin', 'billing', 'support')", name="staff_role"),
        Index("ix_users_email_prefix", "email", postgresql_ops={"email": "varchar_pattern_ops"}),
        Index("ix_users_mail_domain_id", "mail_domain", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    mailbox: Mapped[str | None] = mapped_column(String(320), index=True, unique=True)
    mail_domain: Mapped[str | None] = mapped_column(String(320))
    name: Mapped[str | None] = mapped_column(String(120))
    folded_name: Mapped[str | None] = mapped_column(String(FOLDED_CHARACTERS), index=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    staff_role: Mapped[str | None] = mapped_column(String(16), index=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    totp_secret: Mapped[str | None] = mapped_column(String(64))
    totp_last_step: Mapped[int] = mapped_column(default=0)
    last_org_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def display_name(self) -> str:
        return self.name or self.email

    @validates("name")
    def _fold_name(self, _attribute: str, name: str | None) -> str | None:
        self.folded_name = folded(name) if name else None
        return name

    @validates("email")
    def _note_domain(self, _attribute: str, email: str) -> str:
        self.mail_domain = domain_of(email)
        return email


IS_UNCONFIRMED = User.confirmed_at.is_(None)
Index("ix_users_unconfirmed", User.id, sqlite_where=IS_UNCONFIRMED, postgresql_where=IS_UNCONFIRMED)


class Membership(Base):
    """A user's role in an organization. ``steps_hidden`` is whether the user has dismissed the
    steps for getting started."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="role"),
    )

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(16))
    steps_hidden: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(Base):
    """A key of one organization. Only the SHA-256 of its secret is stored.

    ``original_key_id`` is the first of the keys that were rotated into this one, NULL for that
    first key. ``replaced_at`` is when this key was rotated; with an overlap it works until
    ``expires_at`` still. ``image_cap`` is a monthly ceiling of live images for a key and all keys
    that it was rotated into; only that of the first key counts. ``created_by`` is the user who made
    it, NULL where no user did.
    """

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("mode IN ('live', 'test')", name="mode"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(255))
    prefix: Mapped[str] = mapped_column(String(16))
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    last4: Mapped[str] = mapped_column(String(4), index=True)
    mode: Mapped[str] = mapped_column(String(8))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str | None] = mapped_column(String(32), index=True)
    image_cap: Mapped[int | None]
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_address: Mapped[str | None] = mapped_column(String(45))
    last_used_call: Mapped[str | None] = mapped_column(String(120))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    original_key_id: Mapped[str | None] = mapped_column(String(32))
