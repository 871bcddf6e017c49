"""Sessions of signed-in people: one row each, so that a person can see and end them.

The browser's cookie holds a random token; the row holds its SHA-256 digest.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, or_, select, update

from app.models import Passkey, SignIn, StaffRole, User, new_id
from app.services.accounts.keys import digest
from app.tenancy import TenantSession

IDLE = timedelta(days=14)
"""A session ends when it was not used for this long."""
LONGEST = timedelta(days=90)
LONGEST_OF_STAFF = timedelta(hours=12)
MOST = 100
"""Sessions of a person. One more ends the one that was not used for longest."""
SEEN_RESOLUTION = timedelta(minutes=5)
"""``last_seen_at`` is written at most this often."""
RECENT = timedelta(minutes=10)
"""For this long after the password or passkey was shown, sensitive changes do not ask again."""


@dataclass(frozen=True)
class Person:
    """Who is signed in, and in which session. ``has_second_factor`` is whether the account has a
    one-time code or a passkey. Until ``viewing_until`` a member of staff looks at the pages of the
    organization ``viewing_org_id``."""

    user_id: str
    email: str
    name: str | None
    staff_role: StaffRole | None
    has_second_factor: bool
    last_org_id: str | None
    sign_in_id: str
    authenticated_at: datetime
    second_factor_at: datetime | None
    viewing_org_id: str | None = None
    viewing_until: datetime | None = None

    def is_recent(self, now: datetime) -> bool:
        """Whether the person has shown the password or a passkey in the last 10 minutes."""
        return now - self.authenticated_at < RECENT

    @property
    def counts_as_staff(self) -> bool:
        """Staff are staff only in a session with a second factor."""
        return self.staff_role is not None and self.second_factor_at is not None

    @property
    def display_name(self) -> str:
        return self.name or self.email


@dataclass(frozen=True)
class Device:
    """Where a request comes from: the IP address, and the browser as it names itself."""

    address: str
    user_agent: str


def begin(
    session: TenantSession, user_id: str, device: Device, now: datetime, *, second_factor: bool
) -> str:
    """Begin a session and return its token, which the browser keeps."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            id=new_id("signin", now),
            digest=digest(token),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            authenticated_at=now,
            second_factor_at=now if second_factor else None,
            address=device.address,
            user_agent=device.user_agent[:255],
        )
    )
    session.flush()
    newest = select(SignIn.id).where(SignIn.user_id == user_id)
    kept = newest.order_by(SignIn.last_seen_at.desc(), SignIn.id.desc()).limit(MOST)
    session.change(delete(SignIn).where(SignIn.user_id == user_id, SignIn.id.not_in(kept)))
    return token


def renew(session: TenantSession, sign_in_id: str, now: datetime, *, second_factor: bool) -> str:
    """Give a session a new token, because the person has just shown their password, or a second
    factor too. Returns the token; the old one ends (CWE-384)."""
    token = secrets.token_urlsafe(32)
    shown = {"digest": digest(token), "authenticated_at": now}
    if second_factor:
        shown["second_factor_at"] = now
    session.change(update(SignIn).where(SignIn.id == sign_in_id).values(shown))
    return token


def find(session: TenantSession, token: str, now: datetime) -> Person | None:
    """The person of a session, or None if it has ended. Records that it was used."""
    has_passkey = exists().where(Passkey.user_id == User.id)
    row = session.execute(
        select(SignIn, User, has_passkey.label("has_passkey"))
        .join(User, User.id == SignIn.user_id)
        .where(
            SignIn.digest == digest(token),
            SignIn.last_seen_at > now - IDLE,
            or_(User.staff_role.is_(None), SignIn.created_at > now - LONGEST_OF_STAFF),
            SignIn.created_at > now - LONGEST,
        )
    ).one_or_none()
    if row is None:
        return None
    sign_in, user, passkey = row
    if sign_in.last_seen_at <= now - SEEN_RESOLUTION:
        session.change(update(SignIn).where(SignIn.id == sign_in.id).values(last_seen_at=now))
    return Person(
        user_id=user.id,
        email=user.email,
        name=user.name,
        staff_role=StaffRole(user.staff_role) if user.staff_role else None,
        has_second_factor=passkey or user.totp_secret is not None,
        last_org_id=user.last_org_id,
        sign_in_id=sign_in.id,
        authenticated_at=sign_in.authenticated_at,
        second_factor_at=sign_in.second_factor_at,
        viewing_org_id=sign_in.viewing_org_id,
        viewing_until=sign_in.viewing_until,
    )


def end(session: TenantSession, user_id: str, sign_in_id: str) -> bool:
    """End one session of a user. Returns False if the user has none with this id."""
    ended = delete(SignIn).where(SignIn.user_id == user_id, SignIn.id == sign_in_id)
    return session.change(ended) == 1


def end_all(session: TenantSession, user_id: str, *, but: str | None = None) -> int:
    """End all sessions of a user, but for the one with the id ``but``. Returns how many."""
    return session.change(delete(SignIn).where(SignIn.user_id == user_id, SignIn.id != (but or "")))


def list_of(session: TenantSession, user_id: str, now: datetime) -> list[SignIn]:
    """The sessions of a user that have not ended, the last used first."""
    running = select(SignIn).where(
        SignIn.user_id == user_id,
        SignIn.last_seen_at > now - IDLE,
        SignIn.created_at > now - LONGEST,
    )
    return list(session.scalars(running.order_by(SignIn.last_seen_at.desc(), SignIn.id)))


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove sessions that have ended by themselves. Returns how many."""
    return session.change(
        delete(SignIn).where(
            (SignIn.last_seen_at <= now - IDLE) | (SignIn.created_at <= now - LONGEST)
        )
    )
