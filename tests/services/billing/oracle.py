"""What the fake Stripe says about a customer, by its own account of the rules."""

from datetime import UTC, datetime
from typing import Any

from app.services.billing.prices import Prices
from app.settings_types import PlanPrice
from dev.stripe.state import FakeStripe
from tests.billing import ACCOUNT, METERED
from tests.services.billing.faults import Document

LADDER = ("FREE", "TEAM", "BUSINESS", "ENTERPRISE")
TEAM, TEAM_YEAR, BUSINESS, BUSINESS_YEAR = (
    f"price_{plan}_{interval}" for plan in ("team", "business") for interval in ("month", "year")
)
PLANS = {
    TEAM: "TEAM",
    TEAM_YEAR: "TEAM",
    BUSINESS: "BUSINESS",
    BUSINESS_YEAR: "BUSINESS",
    METERED: "TEAM",
}
PRICES = Prices(ACCOUNT.stripe_prices, (PlanPrice("TEAM", "month", METERED),))
RANKS = {"incomplete": 1, "paused": 2, "unpaid": 3, "past_due": 4, "trialing": 5, "active": 5}
PAYING = ("past_due", "trialing", "active")


def price_ids(subscription: Document) -> set[str]:
    return {item["price"]["id"] for item in subscription["items"]["data"]}


def plan_of(subscription: Document) -> str:
    """Where a metered price stands beside another, the other says the plan."""
    paid = price_ids(subscription)
    return PLANS[next(iter(paid - {METERED}), METERED)]


def rank(subscription: Document) -> tuple[int, int, int]:
    status = subscription["status"]
    height = LADDER.index(plan_of(subscription)) if status in PAYING else 0
    return RANKS[status], height, subscription["created"]


def moment_of(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def facts(subscription: Document) -> dict[str, Any]:
    """What Lightwell should know of the subscription that counts."""
    paying, yearly = subscription["status"] in PAYING, {TEAM_YEAR, BUSINESS_YEAR}
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    return {
        "subscription_id": subscription["id"],
        "status": subscription["status"],
        "plan_code": plan_of(subscription) if paying else None,
        "interval": ("year" if price_ids(subscription) & yearly else "month") if paying else None,
        "period_end": moment_of(max(ends)),
        "cancel_at": moment_of(subscription["cancel_at"]),
        "metered": paying and METERED in price_ids(subscription),
    }


NOTHING = dict.fromkeys(
    ("subscription_id", "status", "plan_code", "interval", "period_end", "cancel_at")
)


def expected(stripe: FakeStripe, customer_id: str) -> list[dict[str, Any]]:
    """The facts that count; more than one where two subscriptions are equal in all that decides."""
    going = going_of(stripe, customer_id)
    best = max((rank(one) for one in going), default=None)
    return [facts(one) for one in going if rank(one) == best] or [NOTHING | {"metered": False}]


def going_of(stripe: FakeStripe, customer_id: str) -> list[Document]:
    """Subscriptions that have not ended."""
    return [
        one for one in stripe.journal.all("subscription", customer_id) if one["status"] in RANKS
    ]
