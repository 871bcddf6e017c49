"""The link that shows that a mailbox stands behind an account."""

from datetime import datetime

from sqlalchemy import select, update

from app.models import LinkPurpose, Membership, Organization, Role, User
from app.services import mail
from app.services.accounts import mailed_links
from app.services.accounts.mailed_links import CONFIRM_WITHIN
from app.tenancy import TenantSession


def send_confirmation(
    session: TenantSession,
    user: User,
    site: str,
    now: datetime,
    password_hash: str | None = None,
) -> None:
    """Mail a link to ``/confirm/<token>`` to the user. Who opens it and types the password of
    ``password_hash`` makes it the account's. Links that were mailed before stay valid."""
    token = mailed_links.issue(session, user, LinkPurpose.CONFIRM, now, password_hash=password_hash)
    mail.queue(
        session,
        user.email,
        "confirm",
        now,
        email=user.email,
        url=f"{site}/confirm/{token}",
        has_password=password_hash is not None,
        expires_at=now + CONFIRM_WITHIN,
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
