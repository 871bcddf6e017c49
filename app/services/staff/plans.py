"""Plans as staff change them: their values, the versions before, and new ones for one customer."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select, update

from app.errors import BadRequest, Conflict, NotFound
from app.models import Organization, Plan, PlanVersion, new_id
from app.services.billing import plans
from app.services.staff.plan_values import problem_of, read
from app.services.staff_log import SYSTEM, Acting
from app.tenancy import TenantSession

CODE = re.compile(r"[A-Z0-9_]{1,32}")
MAX_ID_LENGTH = 32
BEFORE = "As it was before the first change."
VALUES = (
    "name", "tagline", "price_text", "price_cents", "monthly_images", "requests_per_second",
    "storage_mb", "file_mb", "batch_files", "workspace_api", "listed",
)  # fmt: skip
"""What staff may change, by the names of the columns. The code and the position stay."""


class Listed(NamedTuple):
    """A plan in the list, and how many organizations are on it now."""

    plan: Plan
    organizations: int


def state(plan: Plan) -> dict[str, Any]:
    """The values of a plan, as a version and the log keep them."""
    return {name: getattr(plan, name) for name in VALUES}


def all_plans(session: TenantSession, now: datetime) -> list[Listed]:
    """All plans, the lowest first. ``session`` sees all organizations."""
    counts = _counts(session, now)
    found = session.scalars(select(Plan).order_by(Plan.position, Plan.code)).all()
    return [Listed(plan, counts.get(plan.code, 0)) for plan in found]


def _counts(session: TenantSession, now: datetime) -> dict[str, int]:
    """Organizations by the plan that holds at ``now``. An index counts them by the plan that was
    written; the few for which that is out of date are moved."""
    number = func.count()
    written = select(Organization.plan_code, number).group_by(Organization.plan_code)
    counts = {row[0]: row[1] for row in session.execute(written)}
    late = or_(Organization.plan_lapses_at <= now, Organization.granted_until <= now)
    holds = Organization.plan_code_at(now)
    moved = select(Organization.plan_code, holds, number).where(late)
    for before, after, count in session.execute(moved.group_by(Organization.plan_code, holds)):
        counts[before] -= count
        counts[after] = counts.get(after, 0) + count
    gone = select(Organization.plan_code, number).where(Organization.deleted_at.is_not(None))
    for code, count in session.execute(gone.group_by(Organization.plan_code)):
        counts[code] -= count
    return counts


def plan_of(session: TenantSession, code: str) -> Plan:
    """Raises NotFound."""
    plan = session.get(Plan, code) if CODE.fullmatch(code) else None
    if plan is None:
        raise NotFound(f"There is no plan {code[:MAX_ID_LENGTH]}.")
    return plan


def versions_of(session: TenantSession, code: str) -> Sequence[PlanVersion]:
    """The newest first; none before the first change."""
    own = select(PlanVersion).where(PlanVersion.plan_code == code)
    return session.scalars(own.order_by(PlanVersion.number.desc())).all()


def version_number(session: TenantSession, code: str) -> int:
    """The number of the version that holds, 0 before the first change."""
    numbers = select(func.max(PlanVersion.number)).where(PlanVersion.plan_code == code)
    return session.scalar(numbers) or 0


def change(
    session: TenantSession,
    code: str,
    version: int,
    values: Mapping[str, Any],
    who: Acting,
    now: datetime,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a plan the values, and keep them as a version. Returns its states before and after.

    Raises NotFound, BadRequest where nothing would change, and Conflict if ``version``, which the
    values were chosen on, is no longer the last.
    """
    own = update(Plan).where(Plan.code == code)
    session.change(own.values(position=Plan.position))  # whoever is second waits here
    plan = plan_of(session, code)
    session.refresh(plan)
    last = version_number(session, code)
    if version != last:
        raise Conflict(
            "Somebody else changed this plan meanwhile. Look at it again before you change it."
        )
    before = state(plan)
    after = before | dict(values)
    if after == before:
        raise BadRequest("These are the values that the plan has. Nothing was changed.")
    if last == 0:
        system = (SYSTEM, SYSTEM, BEFORE)
        session.add(_version(code, 1, before, system, now))
    for name, value in after.items():
        setattr(plan, name, value)
    by = (who.actor.id, who.email, who.reason)
    session.add(_version(code, max(last, 1) + 1, after, by, now))
    session.flush()
    return before, after


class Wanted(NamedTuple):
    """A new plan for one organization. ``above`` is the code of the plan that it ranks above."""

    code: str
    above: str
    org_id: str
    values: dict[str, Any]


def wanted(
    session: TenantSession, form: Mapping[str, str], template: Plan, largest_mb: int
) -> Wanted:
    """Read the form for a new plan. Raises BadRequest, which names each field that is wrong."""
    code = form.get("code", "").strip().upper()
    above, org_id = form.get("above", ""), form.get("org_id", "").strip()
    values, problems = read(form, template, largest_mb)
    if not CODE.fullmatch(code):
        problems.append("code: write 1 to 32 letters from A to Z, digits and underscores")
    elif session.get(Plan, code):
        problems.append("code: there is a plan with this code already")
    if not (CODE.fullmatch(above) and session.get(Plan, above)):
        problems.append("above: choose one of the plans")
    if not _is_there(session, org_id):
        problems.append("org_id: there is no organization with this id")
    values["listed"] = False
    if problem := problem_of(code, values):
        problems.append(problem)
    if problems:
        raise BadRequest.of_fields(problems, "Several fields are not valid.")
    return Wanted(code, above, org_id, values)


def _is_there(session: TenantSession, org_id: str) -> bool:
    if not 0 < len(org_id) <= MAX_ID_LENGTH or "\0" in org_id:
        return False
    found = session.get(Organization, org_id)
    return found is not None and found.deleted_at is None


def make(session: TenantSession, new: Wanted, who: Acting, now: datetime) -> Organization:
    """Make a plan, which no page lists, and grant it to the session's organization. Returns the
    organization.

    The plans above move up by one. Raises Conflict if the code was taken meanwhile.
    """
    own = update(Plan).where(Plan.code == new.above)
    session.change(own.values(position=Plan.position))
    if session.get(Plan, new.code):
        raise Conflict(f"There is a plan {new.code} already.")
    place = session.get_one(Plan, new.above, populate_existing=True).position
    higher = update(Plan).where(Plan.position > place)
    session.change(higher.values(position=Plan.position + 1))
    plan = Plan(code=new.code, position=place + 1, **new.values)
    session.add(plan)
    by = (who.actor.id, who.email, who.reason)
    session.add(_version(new.code, 1, state(plan), by, now))
    session.flush()
    return plans.grant(session, new.code, who.actor, now)


def _version(
    code: str, number: int, values: dict[str, Any], by: tuple[str, str, str], now: datetime
) -> PlanVersion:
    user_id, email, reason = by
    return PlanVersion(
        id=new_id("plv", now),
        plan_code=code,
        number=number,
        values=values,
        user_id=user_id,
        email=email,
        reason=reason,
        created_at=now,
    )


def highest(session: TenantSession) -> Plan:
    """The highest plan of the price list."""
    listed = select(Plan).where(Plan.listed)
    return session.scalars(listed.order_by(Plan.position.desc(), Plan.code.desc()).limit(1)).one()
