"""Which plan an organization is on: the higher of what it pays for and what it was granted.

``put`` is the one place that decides it; whatever changes one of the two comes through here.
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
    """Put the organization on its plan, given the code of the plan that it pays for."""
    organization.plan_code = entitled_plan(plan_ranks(session), organization, paid, now)


def entitled_plan(
    steps: Sequence[str], organization: Organization, paid: str | None, now: datetime
) -> str:
    """The plan that an organization should be on; ``steps`` is the ladder."""
    lapsed = organization.plan_lapses_at is not None and organization.plan_lapses_at <= now
    entitled = {organization.granted_plan_code, None if lapsed else paid}
    return next((code for code in reversed(steps) if code in entitled), FREE)


def plan_ranks(session: TenantSession) -> Sequence[str]:
    """The codes of all plans, the lowest first."""
    return session.scalars(select(Plan.code).order_by(Plan.position, Plan.code)).all()


def grant(session: TenantSession, plan_code: str, actor: Actor, now: datetime) -> Organization:
    """Give the session's organization a plan for which it does not pay; FREE takes the grant back.
    Raises BadRequest.

    A higher plan that it pays for holds all the same.
    """
    code = plan_code.upper()
    if session.get(Plan, code) is None:
        listed = session.scalars(select(Plan.code).where(Plan.listed).order_by(Plan.position))
        raise BadRequest(f"There is no plan {plan_code}. Plans: {', '.join(listed)}.")
    return _change(
        session, actor, "plan.granted", now, granted_plan_code=None if code == FREE else code
    )


def lapse(session: TenantSession, now: datetime) -> int:
    """Write down that the session's organization has not paid in time. It held already: see
    Organization. Returns how many plans ended: its one."""
    _change(session, GRACE_PERIOD, "plan.lapsed", now)
    return 1


def repair(session: TenantSession, actor: Actor, now: datetime) -> None:
    """Put the session's organization, which is nobody's customer, on the plan that it was
    granted."""
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
    """Whose plan has lapsed since the last sweep, as (org,)."""
    lapsed = select(Organization.id).where(Organization.plan_code != Organization.plan_code_at(now))
    return {
        (org_id,) for org_id in session.scalars(lapsed.where(Organization.plan_lapses_at <= now))
    }


def state(organization: Organization) -> dict[str, Any]:
    """What the audit tells of an organization's plan."""
    return {
        "plan": organization.plan_code,
        "granted": organization.granted_plan_code,
        "lapsesAt": organization.plan_lapses_at,
        "metered": organization.metered,
    }
