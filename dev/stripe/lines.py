"""Invoice lines: whole periods, parts of them when a price changes, and metered usage."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from dev.stripe.catalogue import PRICES, Price
from dev.stripe.payment_objects import InvoiceLine
from dev.stripe.periods import share_left
from dev.stripe.store import Document


def price_of(item: Document) -> Price:
    return PRICES[item["price"]["id"]]


def period_line(item: Document) -> InvoiceLine:
    """Return the line for an item's period, in advance."""
    price = price_of(item)
    return _line(
        item, f"1 × {price.product} (at ${price.amount / 100:.2f} / {price.interval})", price.amount
    )


def trial_line(item: Document) -> InvoiceLine:
    return _line(item, f"Trial period for {price_of(item).product}", 0)


def usage_line(item: Document, counted: int) -> InvoiceLine:
    """Return the line for an item's metered usage, after the period."""
    price = price_of(item)
    cents = int((Decimal(price.cents) * counted).to_integral_value(ROUND_HALF_UP))
    return _line(item, f"{counted} × {price.product}", cents, quantity=counted)


def difference(old: Sequence[Document], new: Sequence[Document], now: int) -> list[InvoiceLine]:
    """Return the lines of a change of items: credit for the remaining time of old items, a charge
    for that of new ones."""
    before, after = {_paid_for(item): item for item in old}, {_paid_for(item): item for item in new}
    gone = [
        _part(item, now, "Unused", -1) for paid_for, item in before.items() if paid_for not in after
    ]
    come = [
        _part(item, now, "Remaining", 1)
        for paid_for, item in after.items()
        if paid_for not in before
    ]
    return [line for line in gone + come if not line.price.metered]


def _paid_for(item: Document) -> tuple[str, int]:
    return item["price"]["id"], item["current_period_end"]


def _part(item: Document, now: int, what: str, sign: int) -> InvoiceLine:
    price = price_of(item)
    share = share_left(item["current_period_start"], item["current_period_end"], now)
    text, amount = f"{what} time on {price.product}", sign * round(price.amount * share)
    return InvoiceLine(
        price, item["id"], text, amount, now, item["current_period_end"], proration=True
    )


def _line(item: Document, text: str, amount: int, quantity: int = 1) -> InvoiceLine:
    start, end = item["current_period_start"], item["current_period_end"]
    return InvoiceLine(price_of(item), item["id"], text, amount, start, end, quantity)
