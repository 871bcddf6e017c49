"""Setting a password by mail: for who has forgotten it, and for who claims an account that
``POST /auth/register`` made. And taking second factors away from who has lost them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, update

from app.errors import Conflict
from app.models import LinkPurpose, Passkey, RecoveryCode, User
from app.services import mail
from app.services.accounts import (
    factors,
    identity,
    mailed_links,
    passkeys,
    passwords,
    security,
    sign_ins,
    sign_up,
)
from app.services.accounts.confirmation import mark_confirmed
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Reset:
    """Whose password was set. ``needs_code`` is whether signing in takes a one-time code too,
    ``is_claim`` whether the account had no password before."""

    user_id: str
    needs_code: bool
    is_claim: bool


def send_link(session: TenantSession, email: str, site: str, now: datetime) -> None:
    """Mail a link to set a password. Where there is no account, the mail says that. Raises
    BadRequest."""
    email = identity.normalise_email(email)
    # Takes so much longer than all else that the time does not tell whether there is an account.
    passwords.is_right("", None)
    user = identity.find_user(session, email)
    if user is None:
        mail.queue(session, email, "no-account", now, email=email, url=f"{site}/signup")
        return
    token = mailed_links.issue(session, user, LinkPurpose.RESET, now)
    letter = "claim" if _is_unclaimed(session, user) else "reset"
    mail.queue(session, user.email, letter, now, email=user.email, url=f"{site}/reset/{token}")


def reset(session: TenantSession, token: str, password: str, site: str, now: datetime) -> Reset:
    """Set the password of the account whose mailbox the link shows. The address is confirmed by
    that, and all sessions and other links end. Raises NotFound, BadRequest."""
    link, user = mailed_links.find(session, token, now, LinkPurpose.RESET)
    password_hash = passwords.hashed(password, user.email)
    mailed_links.use(session, link)
    mailed_links.withdraw(session, user.id)
    is_claim = _is_unclaimed(session, user)
    user.password_hash = password_hash
    mark_confirmed(session, user.id, now)
    sign_up.ensure_organization(session, user, now)
    sign_ins.end_all(session, user.id)
    if not is_claim:
        tell_password_changed(session, user.email, site, now)
    return Reset(user.id, needs_code=user.totp_secret is not None, is_claim=is_claim)


def reset_second_factor(session: TenantSession, user_id: str, site: str, now: datetime) -> None:
    """Take away the app, the recovery codes and all passkeys of a person who has lost them, end all
    sessions, and tell them by mail. Who has no password finds a link in it to set one, which is the
    only way in then. Raises Conflict if there is no second factor."""
    user = factors.locked(session, user_id)
    if not security.of(session, user_id).has_second_factor:
        raise Conflict("This account has no second factor.")
    session.change(update(User).where(User.id == user_id).values(totp_secret=None))
    session.change(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.change(delete(Passkey).where(Passkey.user_id == user_id))
    session.refresh(user)
    sign_ins.end_all(session, user_id)
    has_password = user.password_hash is not None
    mailed_links.withdraw(session, user_id)
    token = "" if has_password else mailed_links.issue(session, user, LinkPurpose.RESET, now)
    url = f"{site}/login" if has_password else f"{site}/reset/{token}"
    mail.queue(
        session, user.email, "second-factor-reset", now,
        email=user.email, has_password=has_password, url=url, forgot=f"{site}/forgot",
    )  # fmt: skip


def _is_unclaimed(session: TenantSession, user: User) -> bool:
    """Whether nobody can sign in yet: there is neither a password nor a passkey."""
    return user.password_hash is None and not passkeys.list_of(session, user.id)


def tell_password_changed(session: TenantSession, email: str, site: str, now: datetime) -> None:
    mail.queue(session, email, "password-changed", now, email=email, when=now, url=f"{site}/forgot")
