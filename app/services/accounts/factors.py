"""What all second factors share: their changes wait for each other, and are told by mail."""

from datetime import datetime

import structlog
from sqlalchemy import update

from app.models import User
from app.services import mail
from app.tenancy import TenantSession

log = structlog.get_logger()


def locked(session: TenantSession, user_id: str) -> User:
    """The user, whose other changes to second factors wait for the end of this transaction.

    It is an UPDATE, because SQLite has no SELECT … FOR UPDATE.
    """
    session.change(
        update(User).where(User.id == user_id).values(totp_last_step=User.totp_last_step)
    )
    return session.get_one(User, user_id, populate_existing=True)


def tell(session: TenantSession, user: User, change: str, site: str, now: datetime) -> None:
    """Mail the person what has changed, in a sentence, in case somebody else did it."""
    log.info("security.changed", user_id=user.id, change=change)
    mail.queue(
        session,
        user.email,
        "security-changed",
        now,
        change=change,
        email=user.email,
        security=f"{site}/account/security",
    )
