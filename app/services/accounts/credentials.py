"""Signing in by e-mail address and password."""

from dataclasses import dataclass

from app.models import User
from app.services.accounts import identity, passwords
from app.services.accounts.keys import digest
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Proven:
    """Who has shown their password. ``needs_code`` is whether a one-time code is asked too."""

    user_id: str
    needs_code: bool


def check(session: TenantSession, email: str, password: str) -> Proven | None:
    """Who this is; None for an unknown address, a wrong password and an address that is not
    confirmed, after the same time."""
    user = identity.find_user(session, email)
    if not passwords.is_right(password, user.password_hash if user else None):
        return None
    if user is None or user.password_hash is None or user.confirmed_at is None:
        return None
    user.password_hash = passwords.rehashed(password, user.password_hash)
    return Proven(user.id, needs_code=user.totp_secret is not None)


def is_own_password(session: TenantSession, user_id: str, password: str) -> bool:
    """Whether a signed-in person has typed their password."""
    return passwords.is_right(password, session.get_one(User, user_id).password_hash)


def password_mark(session: TenantSession, user_id: str) -> str | None:
    """A text that changes with the password and does not tell it; None without a password."""
    user = session.get(User, user_id)
    return digest(user.password_hash) if user and user.password_hash else None
