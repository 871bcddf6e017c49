"""The plans side by side, with what would change against the present one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.adapters.payments.interface import Price
from app.models import Organization, Plan
from app.services.accounts.plan_limits import limits_of
from app.services.accounts.principal import MEGABYTE
from app.services.billing.prices import Prices
from app.services.billing.standing import Standing

MONTH, YEAR = "month", "year"
INTERVALS = (MONTH, YEAR)


class Way(StrEnum):
    """How an organization comes onto a plan. ``PORTAL``: the portal has to be visited first."""

    PRESENT = "present"
    INCLUDED = "included"
    BUY = "buy"
    CHANGE = "change"
    PORTAL = "portal"
    CANCEL = "cancel"
    CONTRACT = "contract"
    UNSOLD = "unsold"


@dataclass(frozen=True)
class PlanLimit:
    """A limit of a plan: a number, bytes, or whether there is something; None is without limit.
    ``change`` is ``more`` or ``less`` than on the present plan, or empty."""

    name: str
    value: int | bool | None
    change: str


@dataclass(frozen=True)
class Offer:
    """A plan as it is offered to one organization. ``price`` is for the whole interval, None where
    only the provider's page tells it. ``saving`` is in cents, against twelve months. The texts are
    those of ``Plan``."""

    code: str
    title: str
    tagline: str | None
    price_text: str | None
    price: Price | None
    saving: int
    way: Way
    is_present: bool
    limits: Sequence[PlanLimit]


def offers(
    plans: Sequence[Plan],
    present: str,
    standing: Standing,
    prices: Prices,
    interval: str,
    yearly: Mapping[str, Price],
    moment: datetime,
) -> list[Offer]:
    """The offers for an ``interval`` of ``month`` or ``year``. ``present`` is the code of the plan
    that holds now, ``yearly`` are the prices of plans by the year, as far as they are known."""
    now = next(plan for plan in plans if plan.code == present)
    ranks = [plan.code for plan in plans]
    return [
        Offer(
            code=plan.code,
            title=plan.title,
            tagline=plan.tagline,
            price_text=plan.price_text,
            price=_price(plan, interval, yearly),
            saving=_saving(plan, yearly) if interval == YEAR else 0,
            way=_way(plan, present, ranks, standing, prices, interval, moment),
            is_present=plan is now,
            limits=_limits(plan, now, standing.organization, moment),
        )
        for plan in plans
    ]


def paid_price(
    plans: Sequence[Plan], standing: Standing, yearly: Mapping[str, Price]
) -> Price | None:
    """What the organization pays an interval, as far as that is known."""
    paid = standing.account
    plan = next((one for one in plans if paid and one.code == paid.plan_code), None)
    return _price(plan, paid.interval or MONTH, yearly) if plan and paid else None


def _saving(plan: Plan, yearly: Mapping[str, Price]) -> int:
    price = yearly.get(plan.code)
    if price is None or price.cents is None or price.currency != "usd":
        return 0
    return max(0, 12 * (plan.price_cents or 0) - price.cents)


def _price(plan: Plan, interval: str, yearly: Mapping[str, Price]) -> Price | None:
    if plan.price_cents and interval == YEAR:
        return yearly.get(plan.code)
    return None if plan.price_cents is None else Price(plan.price_cents, "usd")


def _way(
    plan: Plan,
    present: str,
    ranks: Sequence[str],
    standing: Standing,
    prices: Prices,
    interval: str,
    moment: datetime,
) -> Way:
    organization, account = standing.organization, standing.account
    granted = organization.granted_at(moment)
    status = account.status if account else None
    if granted in ranks and ranks.index(granted) >= ranks.index(plan.code):
        return Way.PRESENT if plan.code == present else Way.INCLUDED
    if plan.price_cents is None:
        return Way.CONTRACT
    is_running = status not in (None, "incomplete")
    if plan.price_cents == 0:
        return _way_to_nothing(standing) if is_running else Way.PRESENT
    if standing.pays_for(plan.code, interval) and organization.plan_lapses_at is None:
        return Way.PRESENT
    if not prices.lines(plan.code, interval):
        return Way.UNSOLD
    if status in ("active", "trialing"):
        return Way.CHANGE
    return Way.PORTAL if is_running else Way.BUY


def _way_to_nothing(standing: Standing) -> Way:
    """From a subscription to a plan that costs nothing."""
    return Way.INCLUDED if standing.account and standing.account.cancel_at else Way.CANCEL


def _limits(
    plan: Plan, present: Plan, organization: Organization, moment: datetime
) -> list[PlanLimit]:
    """As they would hold for this organization: a limit that was raised stays on any plan."""
    there, here = (limits_of(one, organization, moment) for one in (plan, present))
    pairs: list[tuple[str, int | bool | None, int | bool | None]] = [
        ("images", there.monthly_images, here.monthly_images),
        ("requests", there.requests_per_second, here.requests_per_second),
        ("storage", _bytes(there.storage_mb), _bytes(here.storage_mb)),
        ("file", _bytes(there.file_mb), _bytes(here.file_mb)),
        ("batch", there.batch_files, here.batch_files),
        ("workspace", plan.workspace_api, present.workspace_api),
    ]
    return [PlanLimit(name, value, _change(value, before)) for name, value, before in pairs]


def _bytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * MEGABYTE


def _change(value: int | None, before: int | None) -> str:
    if value == before:
        return ""
    return "more" if value is None or (before is not None and value > before) else "less"
