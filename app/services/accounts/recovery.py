"""Setting a password by mail: for who has forgotten it, and for who claims an account that
``POST /auth/register`` made."""

from dataclasses import dataclass
from datetime import datetime

from app.models import LinkPurpose, User
from app.services import mail
from app.services.accounts import identity, mailed_links, passkeys, passwords, sign_ins, sign_up
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


def _is_unclaimed(session: TenantSession, user: User) -> bool:
    """Whether nobody can sign in yet: there is neither a password nor a passkey."""
    return user.password_hash is None and not passkeys.list_of(session, user.id)


def tell_password_changed(session: TenantSession, email: str, site: str, now: datetime) -> None:
    mail.queue(session, email, "password-changed", now, email=email, when=now, url=f"{site}/forgot")
