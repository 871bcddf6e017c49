"""Mails to the owners about what their organization pays for, written in the transaction that
changes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.models import Organization, Plan
from app.services import mail
from app.services.accounts import members
from app.services.accounts.plan_limits import limits_of
from app.tenancy import TenantSession

State = Mapping[str, Any]
"""As ``plans.state`` and ``subscriptions.state`` write it."""


def tell_owners(
    session: TenantSession,
    organization: Organization,
    before: State,
    after: State,
    site: str,
    now: datetime,
) -> None:
    """Mail the owners if the change between two states is one that they must know of."""
    letter = letter_about(before, after, now)
    if letter is not None:
        _tell(session, organization, letter, before, after, site, now)


def tell_of_ended_grant(
    session: TenantSession,
    organization: Organization,
    before: State,
    after: State,
    site: str,
    now: datetime,
) -> None:
    """Mail the owners that a plan which was given to them is over, if it was the one in force."""
    if before["plan"] != after["plan"]:
        _tell(session, organization, "grant_ended", before, after, site, now)


def _tell(
    session: TenantSession,
    organization: Organization,
    letter: str,
    before: State,
    after: State,
    site: str,
    now: datetime,
) -> None:
    plan = session.get_one(Plan, after["plan"])
    for owner in members.owners_of(session):
        mail.queue(
            session,
            owner.email,
            letter,
            now,
            organization=organization.name,
            plan=plan.code.capitalize(),
            former_plan=before["plan"].capitalize(),
            images=limits_of(plan, organization, now).monthly_images,
            interval=after.get("interval"),
            renews_at=None if after.get("cancelAt") else after.get("periodEnd"),
            lapses_at=after["lapsesAt"],
            url=f"{site}/dashboard/{organization.slug}/billing",
        )


def letter_about(before: State, after: State, now: datetime) -> str | None:
    """The letter that a change calls for."""
    moved = before["plan"] != after["plan"]
    if after["lapsesAt"] is not None and after["lapsesAt"] <= now:
        return "plan_lapsed" if moved else None
    if after["lapsesAt"] is not None:
        return "payment_failed" if before["lapsesAt"] is None else None
    paid, paid_before = after.get("paidPlan"), before.get("paidPlan")
    other_interval = paid == paid_before and after.get("interval") != before.get("interval")
    if paid and (moved or other_interval):
        return "plan_changed"
    return "plan_ended" if moved else None
