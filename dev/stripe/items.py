"""The items of a subscription, each with its own period."""

from collections.abc import Sequence

from dev.stripe.catalogue import Price
from dev.stripe.journal import new_id
from dev.stripe.lines import price_of
from dev.stripe.objects import item_json, plan_json, price_json
from dev.stripe.periods import end_of
from dev.stripe.store import Document


def period_from(start: int, price: Price) -> Document:
    return {"current_period_start": start, "current_period_end": end_of(start, price.interval)}


def exchanged(subscription: Document, prices: Sequence[Price], now: int) -> list[Document]:
    """Return the items for new prices. An item keeps its price, or gets another price of the same
    kind."""
    old = {item["price"]["id"]: item for item in subscription["items"]["data"]}
    spare = [
        item for price_id, item in old.items() if price_id not in {price.id for price in prices}
    ]
    items = []
    for price in prices:
        item = old.get(price.id) or next(
            (item for item in spare if price_of(item).metered == price.metered), None
        )
        if item in spare:
            spare.remove(item)
        if item is None:
            period = _shared_period(subscription, price, now)
            item = item_json(new_id("si"), now, subscription["id"], price, *period)
        items.append(item | {"price": price_json(price), "plan": plan_json(price)})
    return items


def _shared_period(subscription: Document, price: Price, now: int) -> tuple[int, int]:
    """Return the period of a new item, which ends with that of the others."""
    first = subscription["items"]["data"][0]
    same = subscription["status"] == "trialing" or price_of(first).interval == price.interval
    return (now, first["current_period_end"]) if same else (now, end_of(now, price.interval))
