"""Who of our own people may do what. The last admin stays, and nobody changes their own role."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from app.errors import Conflict, Forbidden, RoleTooLow
from app.models import StaffRole, User
from app.services import mail, staff_log
from app.services.accounts import factors, sign_ins
from app.services.staff import duties, people
from app.services.staff.duties import Duty
from app.tenancy import TenantSession

NONE = "none"
CHANGED = "staff.role_changed"
"""As the staff's log names it."""


@dataclass(frozen=True)
class Change:
    """The names of a person's roles before and after; "none" for who is not staff."""

    user: User
    before: str
    after: str


def set_role(
    session: TenantSession,
    user_id: str,
    role: StaffRole | None,
    site: str,
    now: datetime,
    *,
    by: str | None = None,
) -> Change:
    """Give a person a role, or take it away with None; all their sessions end, and they are told by
    mail. ``by`` is the id of the admin who does it, None for an operator.

    Other changes of roles wait for the end of the transaction, so that two admins who take each
    other's role at once leave one. Raises NotFound, RoleTooLow, Forbidden, Conflict.
    """
    people.get(session, user_id)
    user = factors.locked(session, user_id)
    staff_log.lock(session)
    _require_admin(session, by, user_id)
    if role is not None and user.confirmed_at is None:
        raise Conflict(f"{user.email} is not confirmed yet. Nobody can sign in with it.")
    if user.staff_role == role:
        raise Conflict(f"{user.email} has this role already.")
    if user.staff_role == StaffRole.ADMIN and not _is_another_admin(session, user_id):
        raise Conflict("This is the last admin. Make somebody else an admin first.")
    before, user.staff_role = user.staff_role or NONE, role
    session.flush()
    sign_ins.end_all(session, user_id)
    after = role.value if role else NONE
    mail.queue(
        session, user.email, "staff-role", now,
        email=user.email, role=role and role.value, admin=f"{site}/admin",
        security=f"{site}/account/security",
    )  # fmt: skip
    return Change(user, before, after)


def _require_admin(session: TenantSession, by: str | None, user_id: str) -> None:
    """Raises Forbidden, RoleTooLow: the role counts that the person has now, after waiting."""
    if by is None:
        return
    if by == user_id:
        raise Forbidden("Nobody changes their own role. Ask another admin.")
    own = session.scalar(select(User.staff_role).where(User.id == by))
    if own is None or not duties.may(StaffRole(own), Duty.MANAGE_STAFF):
        raise RoleTooLow(f"To {Duty.MANAGE_STAFF} takes the role admin.")


def _is_another_admin(session: TenantSession, user_id: str) -> bool:
    others = exists().where(User.staff_role == StaffRole.ADMIN, User.id != user_id)
    return bool(session.scalar(select(others)))
