"""What staff change at an organization. The session is bound to it, and ``actor`` is the member of
staff, whom the organization's own audit log names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, update

from app.errors import Conflict, NotFound
from app.extensions import transaction
from app.models import Actor, ApiKey, Membership, Mode, Organization
from app.services import audit, mail
from app.services.accounts import keys, members
from app.services.billing import plans, review_flags
from app.services.library import facet_counts
from app.tenancy import TenantSession


class Reach(NamedTuple):
    """Whom and what a change concerns. ``keys`` work; ``images`` are those of both modes, in the
    trash too; ``plans`` are the codes of all plans, the lowest first."""

    members: int
    keys: Sequence[ApiKey]
    images: int
    plans: Sequence[str]


def reach_of(org_id: str, now: datetime) -> Reach:
    images = 0
    for mode in Mode:
        with transaction(org_id, mode) as session:
            facets = (facet_counts.ALL, facet_counts.TRASH)
            images += sum(facet_counts.of(session, facets).values())
    with transaction(org_id) as session:
        people = select(func.count()).where(Membership.org_id == org_id)
        own = select(ApiKey).where(ApiKey.org_id == org_id, keys.is_usable(now))
        return Reach(
            members=session.scalar(people) or 0,
            keys=session.scalars(own.order_by(ApiKey.id.desc())).all(),
            images=images,
            plans=plans.plan_ranks(session),
        )


def locked(session: TenantSession) -> Organization:
    """The session's organization, for a change, as it is once other changes of it have ended. The
    lock is an UPDATE without effect, because SQLite has no SELECT FOR UPDATE. Raises NotFound;
    Conflict once it is deleted."""
    this = update(Organization).where(Organization.id == session.org_id)
    session.change(this.values(created_at=Organization.created_at))
    organization = session.get(Organization, session.org_id, populate_existing=True)
    if organization is None:
        raise NotFound("There is no organization with this id.")
    if organization.deleted_at:
        raise Conflict("This organization is deleted. Nothing can be changed at it any more.")
    return organization


def raise_limits(
    session: TenantSession,
    limits: Mapping[str, int],
    until: datetime | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Have these limits, by the names of the plan's columns, hold where they are higher than the
    plan's; for good or until a moment. They replace what was raised before; none take it back.
    Raises Conflict if all stays as it is."""
    organization = locked(session)
    before = raised_state(organization)
    organization.raised_limits = dict(limits) or None
    organization.raised_until = until if limits else None
    after = raised_state(organization)
    if before == after:
        raise Conflict("These limits hold already.")
    audit.record(session, actor, "limits.raised", before, after, now)


def raised_state(organization: Organization) -> dict[str, Any]:
    """The raised limits for the logs."""
    return {"raised": organization.raised_limits, "raisedUntil": organization.raised_until}


def suspend(session: TenantSession, told: str, actor: Actor, site: str, now: datetime) -> None:
    """Refuse the organization's keys and all changes on its pages. ``told`` is the reason that its
    people and the callers of its keys are told; its owners get it by mail. Raises Conflict."""
    organization = locked(session)
    if organization.suspended_at:
        raise Conflict("This organization is suspended already.")
    organization.suspended_at, organization.suspended_reason = now, told
    after = {"suspendedAt": now, "told": told}
    audit.record(session, actor, "organization.suspended", {}, after, now)
    _tell_owners(session, organization, "suspended", site, now, told=told)


def restore(session: TenantSession, actor: Actor, site: str, now: datetime) -> None:
    """End a suspension, and tell the owners. Raises Conflict."""
    organization = locked(session)
    if organization.suspended_at is None:
        raise Conflict("This organization is not suspended.")
    before = {"suspendedAt": organization.suspended_at, "told": organization.suspended_reason}
    organization.suspended_at = organization.suspended_reason = None
    after = dict.fromkeys(before)
    audit.record(session, actor, "organization.restored", before, after, now)
    _tell_owners(session, organization, "restored", site, now)


def revoke_key(session: TenantSession, key_id: str, actor: Actor, now: datetime) -> ApiKey:
    """End one key at once. Raises NotFound, and Conflict if it does not work any more."""
    organization = locked(session)
    own = select(ApiKey).where(ApiKey.id == key_id, ApiKey.org_id == organization.id)
    key = session.scalar(own)
    if key is None:
        raise NotFound("The organization has no key with this id.")
    usable = update(ApiKey).where(ApiKey.id == key.id, keys.is_usable(now))
    if not session.change(usable.values(revoked_at=now)):
        raise Conflict("This key was revoked or has expired.")
    _record_revoked(session, key, actor, now)
    return key


def revoke_keys(session: TenantSession, actor: Actor, now: datetime) -> int:
    """End all keys at once. Returns how many there were. Raises Conflict if there is none."""
    organization = locked(session)
    own = ApiKey.org_id == organization.id
    found = session.scalars(select(ApiKey).where(own, keys.is_usable(now))).all()
    if not found:
        raise Conflict("The organization has no key that works.")
    ids = [key.id for key in found]
    session.change(
        update(ApiKey).where(own, ApiKey.id.in_(ids), keys.is_usable(now)).values(revoked_at=now)
    )
    for key in found:
        _record_revoked(session, key, actor, now)
    return len(found)


def set_flag(session: TenantSession, flag: str | None, actor: Actor, now: datetime) -> str | None:
    """Flag the organization for all staff to see, or take the flag off with None. Returns what it
    was. Raises Conflict if that changes nothing."""
    organization = locked(session)
    if organization.flag == flag:
        raise Conflict("The flag is there already." if flag else "There is no flag.")
    return review_flags.set_flag(session, flag, actor, now)


def _record_revoked(session: TenantSession, key: ApiKey, actor: Actor, now: datetime) -> None:
    audit.record(session, actor, "key.revoked", {}, {"key": key.id, "name": key.name}, now)


def _tell_owners(
    session: TenantSession,
    organization: Organization,
    letter: str,
    site: str,
    now: datetime,
    **values: str,
) -> None:
    url = f"{site}/dashboard/{organization.slug}"
    for owner in members.owners_of(session):
        mail.queue(
            session, owner.email, letter, now, organization=organization.name, url=url, **values
        )
