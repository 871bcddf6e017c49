"""New accounts of people: signing up, and confirming the address.

Whether an address is known never shows: the page is the same, and the mail tells its reader alone.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from app.errors import BadRequest
from app.models import ApiKey, LinkPurpose, Membership, Organization, Role, User
from app.services import blocks, mail
from app.services.accounts import identity, mailed_links, passwords
from app.services.accounts.confirmation import mark_confirmed, send_confirmation
from app.tenancy import TenantSession

MOST_KEYS = 100


@dataclass(frozen=True)
class Wanted:
    """An account that somebody wants."""

    email: str
    password_hash: str


@dataclass(frozen=True)
class Confirmed:
    """Whose address was confirmed. ``has_signed_up`` is whether they showed the password of the
    sign-up; otherwise the account has none yet, and ``token`` is that of a link to set one."""

    user_id: str
    has_signed_up: bool
    token: str | None = None


def read(email: str, password: str) -> Wanted:
    """What was typed at sign-up, checked. Raises BadRequest."""
    email = identity.normalise_email(email)
    return Wanted(email, passwords.hashed(password, email))


def sign_up(session: TenantSession, wanted: Wanted, site: str, now: datetime) -> None:
    """Mail a link that makes the password valid. Who has an account already is told so instead.
    Raises MailDomainBlocked, whether there is an account or not."""
    identity.create_user(session, wanted.email, now)
    user = identity.find_user(session, wanted.email)
    assert user is not None  # noqa: S101  # it is there now
    if user.confirmed_at is None and user.password_hash is None:
        send_confirmation(session, user, site, now, wanted.password_hash)
        return
    token = mailed_links.issue(session, user, LinkPurpose.RESET, now)
    mail.queue(
        session,
        user.email,
        "known",
        now,
        email=user.email,
        login=f"{site}/login",
        url=f"{site}/reset/{token}",
    )


def confirm(session: TenantSession, token: str, password: str, now: datetime) -> Confirmed:
    """Confirm the address that a link was mailed to. A link of a sign-up also takes the password
    that was typed then: so whoever signed up with another person's address gets nothing. Raises
    NotFound, MailDomainBlocked, BadRequest for a wrong password."""
    link, user = mailed_links.find(session, token, now, LinkPurpose.CONFIRM)
    if link.password_hash and not passwords.is_right(password, link.password_hash):
        problem = "is not the one that was typed at sign-up."
        raise BadRequest(f"The password {problem}", errors=[f"password: {problem}"])
    if link.password_hash:
        blocks.check_email(session, link.email, now)  # since the mail was sent
    mailed_links.use(session, link)
    mailed_links.withdraw(session, user.id)
    mark_confirmed(session, user.id, now)
    if not link.password_hash:
        return Confirmed(
            user.id,
            has_signed_up=False,
            token=None
            if user.password_hash
            else mailed_links.issue(session, user, LinkPurpose.RESET, now),
        )
    user.password_hash = link.password_hash
    ensure_organization(session, user, now)
    return Confirmed(user.id, has_signed_up=True)


def ensure_organization(session: TenantSession, user: User, now: datetime) -> None:
    """Who belongs to no organization yet gets one of their own."""
    if not session.scalar(select(exists().where(Membership.user_id == user.id))):
        identity.create_organization(session, user.id, user.email.partition("@")[0], now)


def keys_found(session: TenantSession, user_id: str) -> list[tuple[str, ApiKey]]:
    """The keys that can be used in the organizations that a user owns, each with the slug of its
    organization, the newest first: whoever claims an account should know all of them."""
    rows = session.execute(
        select(Organization.slug, ApiKey)
        .join(Organization, Organization.id == ApiKey.org_id)
        .join(Membership, Membership.org_id == ApiKey.org_id)
        .where(
            Membership.user_id == user_id,
            Membership.role == Role.OWNER,
            ApiKey.revoked_at.is_(None),
        )
        .order_by(ApiKey.id.desc())
        .limit(MOST_KEYS)
    )
    return [(str(row.slug), row.ApiKey) for row in rows]
