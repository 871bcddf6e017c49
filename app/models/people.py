"""How people prove who they are: sessions, mailed links, passkeys, recovery codes.

No organization owns these rows. Secrets are stored as SHA-256 digests, because they are random.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime


class LinkPurpose(StrEnum):
    """What a mailed link lets its reader do."""

    CONFIRM = "confirm"
    RESET = "reset"
    CHANGE_EMAIL = "change_email"


class SignIn(Base):
    """A session of a signed-in person.

    ``authenticated_at`` is when the person last showed a password or passkey in it,
    ``second_factor_at`` when they last showed a second factor; a passkey is both. Until
    ``viewing_until`` a member of staff looks at the pages of the organization ``viewing_org_id``.
    """

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    authenticated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    second_factor_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(255))
    viewing_org_id: Mapped[str | None] = mapped_column(String(32))
    viewing_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MailedLink(Base):
    """A link that was mailed to ``email``: it can be used once, until ``expires_at``.

    ``password_hash`` is the password that was typed at sign-up. It becomes the account's only when
    the link is opened, so that nobody can choose the password of another person's account.
    """

    __tablename__ = "mailed_links"
    __table_args__ = (
        CheckConstraint("purpose IN ('confirm', 'reset', 'change_email')", name="purpose"),
    )

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    email: Mapped[str] = mapped_column(String(320))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Passkey(Base):
    """The public key of a WebAuthn credential. ``id`` is the credential's, in base64url: at most
    1023 bytes (WebAuthn §5.8.3), so 1364 characters."""

    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(String(1364), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    public_key: Mapped[bytes]
    sign_count: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """A code that replaces a lost second factor, once."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
