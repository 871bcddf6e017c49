"""The plan of an organization: the higher of the plan that it pays for and the plan that it was
granted.

``update_plan`` alone sets it; every change of either plan calls it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.errors import BadRequest
from app.models import FREE, Actor, ActorKind, BillingAccount, Organization, Plan
from app.services import audit
from app.tenancy import TenantSession

GRACE_PERIOD = Actor(ActorKind.SYSTEM, "grace period")


def update_plan(
    session: TenantSession, organization: Organization, paid: str | None, now: datetime
) -> None:
    """Set the organization's plan. ``paid`` is the code of the plan that it pays for, None for no
    plan."""
    organization.plan_code = entitled_plan(plan_ranks(session), organization, paid, now)


def entitled_plan(
    steps: Sequence[str], organization: Organization, paid: str | None, now: datetime
) -> str:
    """The plan that an organization is entitled to. ``steps`` holds the codes of all plans, the
    lowest first."""
    lapsed = organization.plan_lapses_at is not None and organization.plan_lapses_at <= now
    entitled = {organization.granted_plan_code, None if lapsed else paid}
    return next((code for code in reversed(steps) if code in entitled), FREE)


def plan_ranks(session: TenantSession) -> Sequence[str]:
    """The codes of all plans, the lowest first."""
    return session.scalars(select(Plan.code).order_by(Plan.position, Plan.code)).all()


def grant(session: TenantSession, plan_code: str, actor: Actor, now: datetime) -> Organization:
    """Grant the session's organization a plan without payment; FREE removes the grant. Raises
    BadRequest.

    A higher plan that it pays for still holds.
    """
    code = plan_code.upper()
    if session.get(Plan, code) is None:
        listed = session.scalars(select(Plan.code).where(Plan.listed).order_by(Plan.position))
        raise BadRequest(f"There is no plan {plan_code}. Plans: {', '.join(listed)}.")
    return _change(
        session, actor, "plan.granted", now, granted_plan_code=None if code == FREE else code
    )


def lapse(session: TenantSession, now: datetime) -> int:
    """Record that the session's organization has lost its paid plan. ``Organization.plan_code_at``
    applies that without this. Returns 1, the number of plans that ended."""
    _change(session, GRACE_PERIOD, "plan.lapsed", now)
    return 1


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


def organizations_with_lapsed(session: TenantSession, now: datetime) -> set[tuple[str]]:
    """The organizations whose plan has lapsed since the last sweep, as (org,)."""
    lapsed = select(Organization.id).where(Organization.plan_code != Organization.plan_code_at(now))
    return {
        (org_id,) for org_id in session.scalars(lapsed.where(Organization.plan_lapses_at <= now))
    }


def state(organization: Organization) -> dict[str, Any]:
    """The values of an organization's plan for the audit."""
    return {
        "plan": organization.plan_code,
        "granted": organization.granted_plan_code,
        "lapsesAt": organization.plan_lapses_at,
        "metered": organization.metered,
    }
