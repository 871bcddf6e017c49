"""Links that are mailed: each shows that its reader has a mailbox, and can be used once."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from app.errors import NotFound
from app.models import LinkPurpose, MailedLink, User
from app.services.accounts.keys import digest
from app.tenancy import TenantSession

CONFIRM_WITHIN = timedelta(days=7)
"""How long the link is valid, and how long the live keys of a new account work without it."""
LASTS = {
    LinkPurpose.CONFIRM: CONFIRM_WITHIN,
    LinkPurpose.RESET: timedelta(hours=1),
    LinkPurpose.CHANGE_EMAIL: timedelta(hours=1),
}
USED = "This link has expired, or it was used already. Ask for a new one."


def issue(
    session: TenantSession,
    user: User,
    purpose: LinkPurpose,
    now: datetime,
    *,
    email: str | None = None,
    password_hash: str | None = None,
) -> str:
    """Make a link for ``email``, the user's own address unless given. Returns its token, which is
    stored as a digest only."""
    token = secrets.token_urlsafe(32)
    session.add(
        MailedLink(
            digest=digest(token),
            user_id=user.id,
            purpose=purpose,
            email=email or user.email,
            password_hash=password_hash,
            expires_at=now + LASTS[purpose],
        )
    )
    session.flush()
    return token


def find(
    session: TenantSession, token: str, now: datetime, *purposes: LinkPurpose
) -> tuple[MailedLink, User]:
    """A link that can be used for one of the purposes, and whose it is. Raises NotFound."""
    row = session.execute(
        select(MailedLink, User)
        .join(User, User.id == MailedLink.user_id)
        .where(
            MailedLink.digest == digest(token),
            MailedLink.purpose.in_(purposes),
            MailedLink.expires_at > now,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(USED)
    return row.MailedLink, row.User


def use(session: TenantSession, link: MailedLink) -> None:
    """Use a link up. Raises NotFound if another request has done so meanwhile."""
    if not session.change(delete(MailedLink).where(MailedLink.digest == link.digest)):
        raise NotFound(USED)
    session.expunge(link)


def withdraw(session: TenantSession, user_id: str) -> None:
    """End all links of a user, because what they were asked for is done or has changed."""
    session.change(delete(MailedLink).where(MailedLink.user_id == user_id))


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove links that have expired. Returns how many."""
    return session.change(delete(MailedLink).where(MailedLink.expires_at <= now))
