"""Mails to the owners about what their organization pays for, written in the transaction that
changes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.models import Organization, Plan
from app.services import mail
from app.services.accounts import members
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
    if letter is None:
        return
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
            images=plan.monthly_images,
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
