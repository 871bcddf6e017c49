"""What staff do to a person's account."""

from datetime import datetime

from sqlalchemy import delete, func, select, update

from app.errors import Conflict, NotFound, RoleTooLow
from app.models import LinkPurpose, MailedLink, Passkey, RecoveryCode, StaffRole, User
from app.services import mail, staff_log
from app.services.accounts import (
    confirmation,
    factors,
    mailed_links,
    recovery,
    sign_ins,
    sign_up,
)
from app.tenancy import TenantSession

NOBODY = "There is nobody with this id."


def find(session: TenantSession, user_id: str) -> User:
    """Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(NOBODY)
    return user


def require_authority(session: TenantSession, user: User, actor_id: str) -> None:
    """Accounts of staff are the business of admins, and nobody acts on their own. Raises
    RoleTooLow."""
    if user.id == actor_id:
        raise RoleTooLow("Nobody does this to their own account. Ask another admin.")
    if user.staff_role and _role_of(session, actor_id) is not StaffRole.ADMIN:
        raise RoleTooLow("This is an account of staff: only an admin of ours may do this to it.")


def confirm_email(session: TenantSession, user: User, now: datetime) -> None:
    """Count the address as theirs, as if they had opened the link. Raises Conflict."""
    if user.confirmed_at is not None:
        raise Conflict("The address is confirmed already.")
    confirmation.mark_confirmed(session, user.id, now)
    sign_up.ensure_organization(session, user, now)


def reset_second_factor(session: TenantSession, user: User, site: str, now: datetime) -> None:
    """Take the authenticator app, the recovery codes and all passkeys away, and end all sessions.
    The person is told by mail; who has no password gets a link to set one. Raises Conflict."""
    user = factors.locked(session, user.id)
    own = Passkey.user_id == user.id
    had_passkeys = session.change(delete(Passkey).where(own))
    if user.totp_secret is None and not had_passkeys:
        raise Conflict("The account has no second factor.")
    session.change(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    session.change(update(User).where(User.id == user.id).values(totp_secret=None))
    sign_ins.end_all(session, user.id)
    factors.tell(session, user, "Support has reset your second factor", site, now)
    if user.password_hash is None:
        recovery.send_link(session, user.email, site, now)


def resend_confirmation(session: TenantSession, user: User, site: str, now: datetime) -> None:
    """Mail another link that confirms the address; it keeps the password of the sign-up. Raises
    Conflict."""
    if user.confirmed_at is not None:
        raise Conflict("The address is confirmed already.")
    last = (
        select(MailedLink.password_hash)
        .where(MailedLink.user_id == user.id, MailedLink.purpose == LinkPurpose.CONFIRM)
        .order_by(MailedLink.expires_at.desc())
        .limit(1)
    )
    confirmation.send_confirmation(session, user, site, now, session.scalar(last))


def send_password_link(session: TenantSession, user: User, site: str, now: datetime) -> None:
    """Mail a link to set a password."""
    recovery.send_link(session, user.email, site, now)


def end_sessions(session: TenantSession, user: User) -> int:
    """Sign the person out everywhere, and end links that were mailed. Returns how many sessions
    there were."""
    mailed_links.withdraw(session, user.id)
    return sign_ins.end_all(session, user.id)


def set_staff_role(
    session: TenantSession,
    user: User,
    role: StaffRole | None,
    actor_id: str | None,
    site: str,
    now: datetime,
) -> None:
    """Make a person staff, change their role, or take it away (None). Their sessions end, and they
    are told by mail. ``actor_id`` is the admin's who does it, None for an operator. Raises
    RoleTooLow, Conflict."""
    staff_log.lock(session)  # of two admins who demote each other at one moment, the second waits
    session.refresh(user)
    if actor_id is not None:
        if user.id == actor_id:
            raise RoleTooLow("Nobody changes their own role. Ask another admin.")
        if _role_of(session, actor_id) is not StaffRole.ADMIN:
            raise RoleTooLow("Only an admin says who is staff.")
    if user.staff_role == role:
        raise Conflict(f"{user.email} is {role or 'no staff'} already.")
    if user.staff_role == StaffRole.ADMIN and _admins(session) == 1:
        raise Conflict("This is the last admin. Make another one first.")
    user.staff_role = role
    session.flush()
    sign_ins.end_all(session, user.id)
    mail.queue(
        session,
        user.email,
        "staff-role",
        now,
        role=role or "",
        email=user.email,
        link=f"{site}/account/security",
    )


def _role_of(session: TenantSession, user_id: str) -> StaffRole | None:
    role = session.scalar(select(User.staff_role).where(User.id == user_id))
    return StaffRole(role) if role else None


def _admins(session: TenantSession) -> int:
    admins = select(func.count()).where(User.staff_role == StaffRole.ADMIN)
    return session.scalar(admins) or 0
