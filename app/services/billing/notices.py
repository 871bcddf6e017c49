"""What an organization's pages say about its payments, and about a suspension."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.models import FREE, BillingAccount, Organization
from app.services.billing import review_flags


@dataclass(frozen=True)
class Notice:
    """Sentences about payments. ``kind`` is ``bad`` for trouble, which stands on every page, and
    ``light`` for what the billing page alone shows.

    ``button`` leads to the provider's portal; empty where that would not help.
    """

    kind: Literal["bad", "light"]
    text: str
    button: str = ""
    icon: str = "credit-card"


def notices_of(
    organization: Organization, account: BillingAccount | None, now: datetime
) -> list[Notice]:
    """The notices about an organization, the gravest first."""
    found = [_suspended(organization), _overdue(organization, now), _disputed(organization)]
    if account:
        found += [_stopped(account), _ending(organization, account)]
    return [notice for notice in found if notice]


def _suspended(organization: Organization) -> Notice | None:
    if organization.suspended_at is None:
        return None
    return Notice(
        "bad",
        f"This organization is suspended. {organization.suspended_reason} Its keys are refused, "
        "its published images are not shown, and nothing can be changed here. Write to us to have "
        "it restored.",
        icon="ban",
    )


def _overdue(organization: Organization, now: datetime) -> Notice | None:
    end = organization.plan_lapses_at
    if end is None:
        return None
    if end <= now:
        text = (
            "The last payment failed, so your paid plan has stopped. It comes back within seconds "
            "of the payment. Your keys and files stay."
        )
    elif organization.plan_code == organization.granted_at(now):
        text = "The last payment failed. The card is tried again during the next days."
    else:
        text = (
            f"The last payment failed. Pay by {_day(end)}, or the "
            f"{organization.plan_code.capitalize()} plan stops then. The card is tried again "
            "meanwhile."
        )
    return Notice("bad", text, "Pay or change the card")


def _disputed(organization: Organization) -> Notice | None:
    if not review_flags.is_dispute(organization.flag):
        return None
    return Notice(
        "bad",
        "A payment of yours is disputed at the bank. We look into it, and your plan goes on "
        "meanwhile. If the dispute is a mistake, take it back at your bank.",
    )


def _stopped(account: BillingAccount) -> Notice | None:
    if account.status == "paused":
        return Notice("bad", "Your subscription is paused.", "Take it up again")
    if account.status == "incomplete":
        return Notice(
            "light", "The first payment was declined, so nothing was bought.", "Try another card"
        )
    return None


def _ending(organization: Organization, account: BillingAccount) -> Notice | None:
    if account.cancel_at is None or account.plan_code is None:
        return None
    plan, next_plan = account.plan_code, organization.granted_at(account.cancel_at) or FREE
    return Notice(
        "light",
        f"You have cancelled: the {plan.capitalize()} plan lasts until {_day(account.cancel_at)}, "
        f"then you are on {next_plan.capitalize()}. Until then you can keep it.",
        "Keep the plan",
    )


def _day(moment: datetime) -> str:
    """``24 Nov 2026``, in UTC."""
    return f"{moment.day} {moment:%b %Y}"
