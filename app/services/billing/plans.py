"""The plan of an organization: the higher of the plan that it pays for and the plan that it was
granted.

``update_plan`` alone sets it; every change of either plan calls it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update

from app.errors import BadRequest
from app.extensions import transaction
from app.models import FREE, Actor, ActorKind, BillingAccount, Organization, Plan
from app.services import audit
from app.services.billing import letters
from app.tenancy import TenantSession, unscoped

GRACE_PERIOD = Actor(ActorKind.SYSTEM, "grace period")
END_OF_GRANT = Actor(ActorKind.SYSTEM, "end of a grant")
LONGEST_CODE = 32


def update_plan(
    session: TenantSession, organization: Organization, paid: str | None, now: datetime
) -> None:
    """Set the organization's plan. ``paid`` is the code of the plan that it pays for, None for no
    plan."""
    organization.paid_plan_code = paid
    organization.plan_code = entitled_plan(plan_ranks(session), organization, paid, now)


def entitled_plan(
    steps: Sequence[str], organization: Organization, paid: str | None, now: datetime
) -> str:
    """The plan that an organization is entitled to at ``now``. ``steps`` holds the codes of all
    plans, the lowest first."""
    lapsed = organization.plan_lapses_at is not None and organization.plan_lapses_at <= now
    entitled = {organization.granted_at(now), None if lapsed else paid}
    return next((code for code in reversed(steps) if code in entitled), FREE)


def plan_ranks(session: TenantSession) -> Sequence[str]:
    """The codes of all plans, the lowest first."""
    return session.scalars(select(Plan.code).order_by(Plan.position, Plan.code)).all()


def grant(
    session: TenantSession,
    plan_code: str,
    actor: Actor,
    now: datetime,
    until: datetime | None = None,
) -> Organization:
    """Grant the session's organization a plan without payment, for good or until a moment; FREE
    takes the grant back. Raises BadRequest.

    A higher plan that it pays for still holds.
    """
    code = plan_code.upper()
    if len(code) > LONGEST_CODE or "\0" in code or session.get(Plan, code) is None:
        listed = session.scalars(select(Plan.code).where(Plan.listed).order_by(Plan.position))
        problem = f"There is no plan {plan_code[:LONGEST_CODE]}. Plans: {', '.join(listed)}."
        raise BadRequest(problem, errors=["plan: is not one of the plans"])
    if until is not None and until <= now:
        raise BadRequest.of_fields(["until: choose a moment that is still to come"], "")
    values = (None, None) if code == FREE else (code, until)
    granted = dict(zip(("granted_plan_code", "granted_until"), values, strict=True))
    return _change(session, actor, "plan.granted", now, **granted)


def lapse_due(site: str, now: datetime) -> int:
    """Record for each organization whose paid plan has lapsed, or whose grant has ended, that it
    has, and tell its owners. ``Organization.plan_code_at`` applies that without this. Returns how
    many there were."""
    is_other = Organization.plan_code != Organization.plan_code_at(now)
    with transaction() as session, unscoped(session, "lapsed plans and grants that ended"):
        found = session.scalars(
            select(Organization.id)
            .where(
                or_(
                    and_(Organization.plan_lapses_at <= now, is_other),
                    Organization.granted_until <= now,
                )
            )
            .order_by(Organization.id)
        ).all()
    changed = 0
    for org_id in found:
        with transaction(org_id) as session:
            found_some = [_end_grant(session, site, now), _lapse(session, site, now)]
            changed += any(found_some)
    return changed


def _lapse(session: TenantSession, site: str, now: datetime) -> bool:
    """Returns False if another worker was faster, or the payment has come."""
    organization = session.get_one(Organization, session.org_id)
    before, after = state(organization), Organization.plan_code_at(now)
    late = update(Organization).where(
        Organization.id == organization.id,
        Organization.plan_lapses_at <= now,
        Organization.plan_code != after,
    )
    if not session.change(late.values(plan_code=after)):
        return False
    session.refresh(organization)
    audit.record(session, GRACE_PERIOD, "plan.lapsed", before, state(organization), now)
    letters.tell_owners(session, organization, before, state(organization), site, now)
    return True


def _end_grant(session: TenantSession, site: str, now: datetime) -> bool:
    """Take back a grant whose time is over. Returns False if there is none, or another worker was
    faster. A plan whose payment has lapsed as well is left to ``_lapse``."""
    organization = session.get_one(Organization, session.org_id)
    before = state(organization)
    over = update(Organization).where(
        Organization.id == organization.id, Organization.granted_until <= now
    )
    plan = case(
        (Organization.plan_code != Organization.granted_plan_code, Organization.plan_code),
        (Organization.plan_lapses_at <= now, FREE),
        else_=func.coalesce(Organization.paid_plan_code, FREE),
    )
    ended = over.values(plan_code=plan, granted_plan_code=None, granted_until=None)
    if not session.change(ended):
        return False
    session.refresh(organization)
    after = state(organization)
    audit.record(session, END_OF_GRANT, "plan.grant_ended", before, after, now)
    letters.tell_of_ended_grant(session, organization, before, after, site, now)
    return True


def repair(session: TenantSession, actor: Actor, now: datetime) -> None:
    """Put the session's organization, which has no customer at the provider, on the plan that it
    was granted."""
    _change(session, actor, "plan.repaired", now, metered=False, plan_lapses_at=None)


def _change(
    session: TenantSession, actor: Actor, action: str, now: datetime, **values: Any
) -> Organization:
    organization = session.get_one(Organization, session.org_id, with_for_update=True)
    before = state(organization)
    for name, value in values.items():
        setattr(organization, name, value)
    update_plan(session, organization, session.scalar(select(BillingAccount.plan_code)), now)
    audit.record(session, actor, action, before, state(organization), now)
    return organization


def state(organization: Organization) -> dict[str, Any]:
    """The values of an organization's plan for the audit."""
    return {
        "plan": organization.plan_code,
        "granted": organization.granted_plan_code,
        "grantedUntil": organization.granted_until,
        "lapsesAt": organization.plan_lapses_at,
        "metered": organization.metered,
    }
