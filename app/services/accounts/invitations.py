"""Invitations to an organization by mail. The mailed link holds a random token, of which only the
digest is stored; who opens it has shown that the mailbox is theirs."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, select

from app.errors import Conflict, Forbidden, NotFound, RateLimited
from app.models import (
    Actor,
    ActorKind,
    AuditEntry,
    Invitation,
    Membership,
    Organization,
    Role,
    User,
    new_id,
)
from app.services import audit, blocks, mail
from app.services.accounts import identity, mailed_links, members, passwords
from app.services.accounts.keys import digest
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession, insert_if_absent, unscoped

VALID = timedelta(days=7)
KEPT = timedelta(days=30)
"""How long the team page still shows an expired invitation, so that it can be sent again."""
PAUSE = timedelta(minutes=1)
"""The same address gets no second mail within this time."""
MOST_OPEN = 50
MOST_MAILS_A_DAY = 100
SENT = "invitation.sent"

GONE = (
    "This invitation was used, taken back or sent again with another link, or it is older than 7 "
    "days. If you have accepted it, the organization is in your dashboard; otherwise ask for a new "
    "one."
)


@dataclass(frozen=True)
class Invited:
    """An invitation as its reader sees it. ``has_account`` is whether the address has an account
    that is more than an unconfirmed sign-up."""

    org_id: str
    organization: str
    slug: str
    email: str
    role: Role
    invited_by: str | None
    expires_at: datetime
    has_account: bool

    def is_for(self, email: str) -> bool:
        """Whether the address and the invited one are of the same mailbox."""
        return identity.mailbox_of(email) == identity.mailbox_of(self.email)


@dataclass(frozen=True)
class Open:
    """An invitation as the team page shows it."""

    id: str
    email: str
    role: Role
    invited_by: str | None
    sent_at: datetime
    expires_at: datetime


def all_of(session: TenantSession) -> list[Open]:
    """The invitations of the session's organization, also those that expired lately, the newest
    first."""
    rows = session.execute(
        select(Invitation, User)
        .outerjoin(User, User.id == Invitation.invited_by)
        .order_by(Invitation.id.desc())
    )
    return [
        Open(
            row.id,
            row.email,
            Role(row.role),
            inviter.display_name if inviter else None,
            row.expires_at - VALID,
            row.expires_at,
        )
        for row, inviter in rows
    ]


def invite(
    session: TenantSession, principal: Principal, email: str, role: Role, site: str, now: datetime
) -> None:
    """Invite an address by mail. An invitation that it has already is sent again, with this role.
    Raises RoleTooLow, BadRequest, MailDomainBlocked, Conflict, RateLimited."""
    principal = members.lock(session, principal)
    principal.require(Action.MANAGE_TEAM)
    email = identity.normalise_email(email)
    known = identity.find_user(session, email)
    if known and session.get(Membership, (session.org_id, known.id)):
        raise Conflict(f"{email} is in the organization already.")
    invitation = session.scalar(select(Invitation).where(Invitation.email == email))
    if invitation is None:
        invitation = Invitation(
            id=new_id("invite", now), email=email, created_at=now, expires_at=now
        )
    elif _was_just_sent(invitation, now) and invitation.role == role:
        return  # the form was sent twice
    invitation.role = role
    _send(session, principal.actor, invitation, site, now)


def resend(
    session: TenantSession, principal: Principal, invitation_id: str, site: str, now: datetime
) -> str:
    """Send an invitation with a new link, which is good for 7 days; the old one no longer is.
    Returns the address. Raises RoleTooLow, NotFound, MailDomainBlocked, RateLimited."""
    principal = members.lock(session, principal)
    principal.require(Action.MANAGE_TEAM)
    return send_again(session, principal.actor, invitation_id, site, now)


def send_again(
    session: TenantSession, actor: Actor, invitation_id: str, site: str, now: datetime
) -> str:
    """Like ``resend``, for whoever may. In the mail staff don't take the inviter's place."""
    invitation = _get(session, invitation_id)
    _send(session, actor, invitation, site, now)
    return invitation.email


def revoke(session: TenantSession, principal: Principal, invitation_id: str, now: datetime) -> str:
    """End an invitation. Returns the address. Raises RoleTooLow, NotFound."""
    principal = members.lock(session, principal)
    principal.require(Action.MANAGE_TEAM)
    invitation = _get(session, invitation_id)
    before = {"email": invitation.email, "role": invitation.role}
    session.delete(invitation)
    after = {"email": None, "role": None}
    audit.record(session, principal.actor, "invitation.revoked", before, after, now)
    return invitation.email


def find(session: TenantSession, token: str, now: datetime) -> Invited:
    """The invitation that a link leads to. Raises NotFound if it is no longer good."""
    with unscoped(session, "an invitation by its link"):
        row = session.execute(
            select(Invitation, Organization, User)
            .join(Organization, Organization.id == Invitation.org_id)
            .outerjoin(User, User.id == Invitation.invited_by)
            .where(
                Invitation.digest == digest(token),
                Invitation.expires_at > now,
                Organization.deleted_at.is_(None),
            )
        ).one_or_none()
    if row is None:
        raise NotFound(GONE)
    invitation, organization, inviter = row
    user = identity.find_user(session, invitation.email)
    return Invited(
        org_id=organization.id,
        organization=organization.name,
        slug=str(organization.slug),
        email=invitation.email,
        role=Role(invitation.role),
        invited_by=inviter.display_name if inviter else None,
        expires_at=invitation.expires_at,
        has_account=user is not None and not _is_vacant(session, user),
    )


def accept(session: TenantSession, token: str, user_id: str, address: str, now: datetime) -> None:
    """Make the user a member; a member keeps the role that they have. ``session`` is bound to the
    invitation's organization, ``address`` is the request's IP address. Raises NotFound if the
    invitation is no longer good, Forbidden if it is for another mailbox."""
    good = delete(Invitation).where(Invitation.digest == digest(token), Invitation.expires_at > now)
    invitation = session.execute(good.returning(Invitation.email, Invitation.role)).one_or_none()
    if invitation is None:
        raise NotFound(GONE)
    user = session.get_one(User, user_id)
    if identity.mailbox_of(user.email) != identity.mailbox_of(invitation.email):
        raise Forbidden(f"This invitation is for {invitation.email}. Sign in with that address.")
    joins = insert_if_absent(
        session, Membership, org_id=session.org_id, user_id=user_id, role=invitation.role,
        created_at=now,
    )  # fmt: skip
    if joins:
        after = {"member": user.email, "role": invitation.role}
        actor = Actor(ActorKind.USER, user_id, address)
        audit.record(session, actor, "member.joined", {}, after, now)


def open_account(
    session: TenantSession, token: str, email: str, password: str, address: str, now: datetime
) -> str:
    """Open an account for the invited address and accept. The address counts as confirmed, because
    the link was mailed to it. Returns the user's id. Raises BadRequest for the password,
    MailDomainBlocked, Conflict if the address has an account."""
    password_hash = passwords.hashed(password, email)
    user_id = identity.create_user(
        session, email, now, password_hash=password_hash, confirmed_at=now
    )
    if user_id is None:
        user_id = _take_vacant(session, email, password_hash, now)
    accept(session, token, user_id, address, now)
    return user_id


def _take_vacant(session: TenantSession, email: str, password_hash: str, now: datetime) -> str:
    """Give a vacant account to who has the mailbox. Returns the user's id. Raises Conflict if it
    is not vacant."""
    user = identity.find_user(session, email)
    if user is None or not _is_vacant(session, user):
        raise Conflict("This address has an account by now. Sign in to accept the invitation.")
    user.email, user.password_hash, user.confirmed_at = email, password_hash, now
    mailed_links.withdraw(session, user.id)
    return user.id


def _is_vacant(session: TenantSession, user: User) -> bool:
    """Whether somebody has typed the address at sign-up, and nobody has confirmed it: a stranger's
    sign-up must not keep the owner of the mailbox out."""
    is_member = exists().where(Membership.user_id == user.id)
    nobody_s = user.confirmed_at is None and user.password_hash is None
    return nobody_s and not session.scalar(select(is_member))


def organizations_with_expired(session: TenantSession, now: datetime) -> set[tuple[str]]:
    """The organizations with invitations to remove, as (org,)."""
    expired = select(Invitation.org_id).where(Invitation.expires_at <= now - KEPT)
    return {(org_id,) for org_id in session.scalars(expired)}


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove invitations that expired a while ago. Returns how many."""
    return session.change(delete(Invitation).where(Invitation.expires_at <= now - KEPT))


def _get(session: TenantSession, invitation_id: str) -> Invitation:
    invitation = session.scalar(select(Invitation).where(Invitation.id == invitation_id))
    if invitation is None:
        raise NotFound("There is no invitation with this id.")
    return invitation


def _check_limits(session: TenantSession, invitation: Invitation, now: datetime) -> None:
    """Raises Conflict for too many open invitations, RateLimited for too many mails."""
    if _was_just_sent(invitation, now):
        raise _too_often("This invitation was sent less than a minute ago.", PAUSE)
    is_open = select(func.count()).select_from(Invitation).where(Invitation.expires_at > now)
    if invitation.expires_at <= now and (session.scalar(is_open) or 0) >= MOST_OPEN:
        raise Conflict(
            f"{MOST_OPEN} invitations are open, the most at once. Revoke some, or wait until they "
            "are accepted."
        )
    lately = AuditEntry.id > new_id("aud", now - timedelta(days=1))
    sent = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == SENT, lately)
    if (session.scalar(sent) or 0) >= MOST_MAILS_A_DAY:
        raise _too_often(
            f"An organization may send {MOST_MAILS_A_DAY} invitations in 24 hours.",
            timedelta(hours=1),
        )


def _was_just_sent(invitation: Invitation, now: datetime) -> bool:
    return now - (invitation.expires_at - VALID) < PAUSE


def _send(
    session: TenantSession, actor: Actor, invitation: Invitation, site: str, now: datetime
) -> None:
    """Give the invitation a new link and mail it. Raises MailDomainBlocked, Conflict,
    RateLimited."""
    blocks.check_email(session, invitation.email, now)
    _check_limits(session, invitation, now)
    token = secrets.token_urlsafe(32)
    invitation.digest = digest(token)
    if actor.kind is ActorKind.USER:
        invitation.invited_by = actor.id
    organization = session.get_one(Organization, session.org_id).name
    inviter = session.get(User, invitation.invited_by) if invitation.invited_by else None
    invitation.expires_at = now + VALID
    session.add(invitation)
    session.flush()
    mail.queue(
        session,
        invitation.email,
        "invited",
        now,
        organization=organization,
        by=inviter.display_name if inviter else organization,
        role=invitation.role,
        link=f"{site}/invitations/{token}",
    )
    after = {"email": invitation.email, "role": invitation.role, "sentAt": now}
    audit.record(session, actor, SENT, {}, after, now)


def _too_often(sentence: str, wait: timedelta) -> RateLimited:
    seconds = round(wait.total_seconds())
    return RateLimited(f"{sentence} Try again later.", headers={"Retry-After": str(seconds)})
