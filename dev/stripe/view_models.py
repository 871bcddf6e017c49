"""A subscription as the pages show it."""

from dataclasses import dataclass

from dev.stripe.actions import WITHOUT_CUSTOMER, PortalAction
from dev.stripe.catalogue import PRICES, Price
from dev.stripe.formatting import describe_state, prices_of, products
from dev.stripe.store import Document
from dev.stripe.subscriptions import ENDED, RUNNING

ON_SALE = [price for price in PRICES.values() if not price.metered]


@dataclass(frozen=True)
class SubscriptionView:
    """``price`` is the plan's, None for a subscription with metered prices only. If ``is_open``,
    its plan can be changed."""

    id: str
    name: str
    state: str
    price: Price | None
    has_ended: bool
    is_open: bool
    is_leaving: bool
    actions: dict[str, PortalAction]

    @classmethod
    def of(cls, subscription: Document) -> "SubscriptionView":
        prices, status = prices_of(subscription), subscription["status"]
        return cls(
            id=subscription["id"],
            name=products(prices),
            state=describe_state(subscription),
            price=next((price for price in prices if not price.metered), None),
            has_ended=status in ENDED,
            is_open=status in RUNNING,
            is_leaving=status in RUNNING and subscription["cancel_at_period_end"],
            actions={
                name: action
                for name, action in WITHOUT_CUSTOMER.items()
                if status in action.statuses
            },
        )


def with_plan(subscription: Document, plan: Price) -> list[Price]:
    """Return the prices after a change to ``plan``; metered prices stay."""
    return [plan, *(price for price in prices_of(subscription) if price.metered)]


def confirmed_by(flow: Document | None, subscription: Document) -> list[Price] | None:
    """Return the prices after a portal flow is confirmed; None if the flow is another one or is
    done already."""
    wanted = (flow or {}).get("subscription_update_confirm")
    if (
        not wanted
        or wanted["subscription"] != subscription["id"]
        or subscription["status"] not in RUNNING
    ):
        return None
    chosen = {item["id"]: item["price"] for item in wanted["items"]}
    after = [
        PRICES[chosen.get(item["id"], item["price"]["id"])]
        for item in subscription["items"]["data"]
    ]
    return None if after == prices_of(subscription) else after
