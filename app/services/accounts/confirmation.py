"""The link that shows that a mailbox stands behind an account."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from app.models import LinkPurpose, MailedLink, Membership, Organization, Role, User
from app.services import mail
from app.services.accounts.keys import digest
from app.tenancy import TenantSession

CONFIRM_WITHIN = timedelta(days=7)
"""How long the link is valid, and how long the live keys of a new account work without it."""


def send_confirmation(
    session: TenantSession,
    user: User,
    site: str,
    now: datetime,
    password_hash: str | None = None,
) -> None:
    """Mail a link to ``/confirm/<token>`` to the user. Opening it makes ``password_hash`` the
    account's password. Links that were mailed before stay valid."""
    token = secrets.token_urlsafe(32)
    expires_at = now + CONFIRM_WITHIN
    session.add(
        MailedLink(
            digest=digest(token),
            user_id=user.id,
            purpose=LinkPurpose.CONFIRM,
            email=user.email,
            password_hash=password_hash,
            expires_at=expires_at,
        )
    )
    mail.queue(
        session,
        user.email,
        "confirm",
        now,
        email=user.email,
        url=f"{site}/confirm/{token}",
        expires_at=expires_at,
        claim=f"{site}/claim",
    )


def mark_confirmed(session: TenantSession, user_id: str, now: datetime) -> None:
    """Record that the user's mailbox is theirs. The live keys of their organizations then go on
    without an end."""
    is_new = update(User).where(User.id == user_id, User.confirmed_at.is_(None))
    session.change(is_new.values(confirmed_at=now))
    owned = select(Membership.org_id).where(
        Membership.user_id == user_id, Membership.role == Role.OWNER
    )
    session.change(update(Organization).where(Organization.id.in_(owned)).values(confirm_by=None))


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove mailed links that are no longer valid, of any purpose. Returns how many."""
    return session.change(delete(MailedLink).where(MailedLink.expires_at <= now))
