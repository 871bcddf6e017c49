"""The members of the session's organization: who they are, their roles, how they go."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, case, exists, func, or_, select, update

from app.errors import BadRequest, Conflict, NotFound, RoleTooLow
from app.models import Invitation, Membership, Organization, Passkey, Role, SignIn, User
from app.services import audit, mail
from app.services.accounts.permissions import Action, may
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession

PAGE_SIZE = 50
SEARCH_LENGTH = 100
ASSIGNABLE = (Role.ADMIN, Role.MEMBER, Role.VIEWER)
"""The roles that invitations and changes of role give. Owners are made by ``make_owner``."""


@dataclass(frozen=True)
class Member:
    """A member as the team page shows them. ``last_seen_at`` is None if they are signed in
    nowhere."""

    user_id: str
    email: str
    name: str | None
    role: Role
    since: datetime
    last_seen_at: datetime | None
    has_second_factor: bool

    @property
    def display_name(self) -> str:
        return self.name or self.email


def lock(session: TenantSession, principal: Principal) -> Principal:
    """Let no other transaction change the organization's members until this one ends. Returns the
    principal with the role that it has now. Raises NotFound if it is no member any more.

    The lock is an UPDATE without effect, because SQLite has no SELECT FOR UPDATE.
    """
    this = update(Organization).where(Organization.id == session.org_id)
    session.change(this.values(created_at=Organization.created_at))
    return replace(principal, role=Role(membership_of(session, principal.actor.id).role))


def membership_of(session: TenantSession, user_id: str) -> Membership:
    """Raises NotFound."""
    membership = session.get(Membership, (session.org_id, user_id))
    if membership is None:
        raise NotFound("There is nobody with this id in the organization.")
    return membership


def assignable(role: str) -> Role:
    """The role with this name. Raises BadRequest unless it is one of ``ASSIGNABLE``."""
    if role not in ASSIGNABLE:
        raise BadRequest("Choose the role admin, member or viewer.")
    return Role(role)


def find(session: TenantSession, user_id: str) -> Member:
    """Raises NotFound."""
    membership_of(session, user_id)
    return _members(session, User.id == user_id, page=1)[0]


def search(session: TenantSession, text: str, page: int) -> tuple[list[Member], int]:
    """One page of the members whose name or e-mail contains ``text``, owners first, and how many
    there are on all pages."""
    found = or_(
        User.email.icontains(text, autoescape=True), User.name.icontains(text, autoescape=True)
    )
    count = (
        select(func.count())
        .select_from(Membership)
        .join(User, User.id == Membership.user_id)
        .where(Membership.org_id == session.org_id, found)
    )
    return _members(session, found, page), session.scalar(count) or 0


def _members(session: TenantSession, condition: ColumnElement[bool], page: int) -> list[Member]:
    last_seen = select(func.max(SignIn.last_seen_at)).where(SignIn.user_id == User.id)
    has_passkey = exists().where(Passkey.user_id == User.id)
    rank = case({role: rank for rank, role in enumerate(Role)}, value=Membership.role)
    rows = session.execute(
        select(Membership, User, last_seen.scalar_subquery(), has_passkey)
        .join(User, User.id == Membership.user_id)
        .where(Membership.org_id == session.org_id, condition)
        .order_by(rank, User.email)
        .limit(PAGE_SIZE)
        .offset((page - 1) * PAGE_SIZE)
    )
    return [
        Member(
            user_id=user.id,
            email=user.email,
            name=user.name,
            role=Role(membership.role),
            since=membership.created_at,
            last_seen_at=seen,
            has_second_factor=passkey or user.totp_secret is not None,
        )
        for membership, user, seen, passkey in rows
    ]


def change_role(
    session: TenantSession, principal: Principal, user_id: str, role: str, site: str, now: datetime
) -> None:
    """Give a member one of the ``ASSIGNABLE`` roles and tell them by mail. With a role that may not
    invite, the invitations that they sent end. Raises NotFound, BadRequest, RoleTooLow, and
    Conflict for the last owner."""
    principal = lock(session, principal)
    membership = _manageable(session, principal, user_id)
    chosen = assignable(role)
    if membership.role == chosen:
        return
    _keep_an_owner(session, membership)
    _set_role(session, principal, membership, chosen, now)
    if not may(chosen, Action.MANAGE_TEAM):
        _revoke_invitations_by(session, principal, user_id, now)
    if user_id != principal.actor.id:
        link = f"{site}/dashboard/{principal.slug}"
        _tell(session, principal, user_id, "role_changed", now, role=role, link=link)


def make_owner(
    session: TenantSession,
    principal: Principal,
    user_id: str,
    now: datetime,
    *,
    steps_down: bool,
    site: str,
) -> None:
    """Make a member an owner and tell all owners by mail. If the principal ``steps_down``, it
    becomes an admin. Raises NotFound, RoleTooLow, Conflict."""
    principal = lock(session, principal)
    principal.require(Action.TRANSFER)
    membership = membership_of(session, user_id)
    own = membership_of(session, principal.actor.id)
    if membership is own:
        raise Conflict("You are an owner already. Choose somebody else.")
    if membership.role != Role.OWNER:
        _set_role(session, principal, membership, Role.OWNER, now)
    elif not steps_down:
        return
    owners = owners_of(session)
    if steps_down:
        _set_role(session, principal, own, Role.ADMIN, now)
    link = f"{site}/dashboard/{principal.slug}/team"
    new_owner = session.get_one(User, user_id).display_name
    for owner in owners:
        _tell(
            session, principal, owner.id, "new_owner", now,
            new_owner=new_owner, steps_down=steps_down, link=link,
        )  # fmt: skip


def remove(session: TenantSession, principal: Principal, user_id: str, now: datetime) -> None:
    """Remove a member and tell them by mail. The invitations that they sent end. The keys that they
    made stay, because those are the organization's. Raises NotFound, RoleTooLow, and Conflict for
    the last owner."""
    principal = lock(session, principal)
    membership = _manageable(session, principal, user_id)
    _end(session, principal, membership, "member.removed", now)
    _revoke_invitations_by(session, principal, user_id, now)
    _tell(session, principal, user_id, "removed", now)


def leave(session: TenantSession, principal: Principal, now: datetime) -> None:
    """End the principal's own membership. Raises Conflict for the last owner."""
    principal = lock(session, principal)
    own = membership_of(session, principal.actor.id)
    _end(session, principal, own, "member.left", now)


def owners_of(session: TenantSession) -> list[User]:
    """The owners of the session's organization, who has had an account longest first."""
    owners = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.org_id == session.org_id, Membership.role == Role.OWNER)
    )
    return list(session.scalars(owners.order_by(User.id)))


def is_only_owner(session: TenantSession, user_id: str) -> bool:
    return {owner.id for owner in owners_of(session)} == {user_id}


def _manageable(session: TenantSession, principal: Principal, user_id: str) -> Membership:
    """The membership, if the principal may change it."""
    principal.require(Action.MANAGE_TEAM)
    membership = membership_of(session, user_id)
    if membership.role == Role.OWNER and not principal.may(Action.TRANSFER):
        raise RoleTooLow("Only an owner can change the role of an owner, or remove one.")
    return membership


def _keep_an_owner(session: TenantSession, leaving: Membership) -> None:
    """Raises Conflict if nobody but ``leaving`` owns the organization. The caller holds the
    lock."""
    if is_only_owner(session, leaving.user_id):
        raise Conflict("An organization needs an owner. Make somebody else an owner first.")


def _set_role(
    session: TenantSession, principal: Principal, membership: Membership, role: Role, now: datetime
) -> None:
    before, email = membership.role, session.get_one(User, membership.user_id).email
    membership.role = role
    after = {"member": email, "role": role.value}
    audit.record(session, principal.actor, "member.role_changed", {"role": before}, after, now)


def _end(
    session: TenantSession, principal: Principal, membership: Membership, action: str, now: datetime
) -> None:
    _keep_an_owner(session, membership)
    email = session.get_one(User, membership.user_id).email
    before = {"member": email, "role": membership.role}
    session.delete(membership)
    audit.record(session, principal.actor, action, before, {"member": None, "role": None}, now)


def _revoke_invitations_by(
    session: TenantSession, principal: Principal, user_id: str, now: datetime
) -> None:
    """End the invitations of who may not invite any more: one may be to an address of their own."""
    sent = session.scalars(select(Invitation).where(Invitation.invited_by == user_id)).all()
    for invitation in sent:
        before = {"email": invitation.email, "role": invitation.role}
        after = dict.fromkeys(before)
        session.delete(invitation)
        audit.record(session, principal.actor, "invitation.revoked", before, after, now)


def _tell(
    session: TenantSession,
    principal: Principal,
    user_id: str,
    letter: str,
    now: datetime,
    **values: object,
) -> None:
    """Write a mail to somebody about what the principal has done."""
    mail.queue(
        session,
        session.get_one(User, user_id).email,
        letter,
        now,
        organization=session.get_one(Organization, session.org_id).name,
        by=session.get_one(User, principal.actor.id).display_name,
        **values,
    )
