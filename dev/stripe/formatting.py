"""Template filters of the pages: amounts, dates, the state of a subscription."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from dev.stripe.catalogue import PRICES, Price
from dev.stripe.store import Document

STATES = {
    "trialing": "On trial until {end}, then {rates}.",
    "active": "Active. The next payment is on {end}: {rates}.",
    "past_due": "The last payment failed. Stripe tries the card again for some days.",
    "unpaid": "Unpaid. Nobody tries the card any more, but what is open can be paid.",
    "incomplete": "The first payment was declined. It can be paid within a day.",
    "incomplete_expired": "The first payment never came.",
    "paused": "Paused. Nothing is charged.",
    "canceled": "Ended on {end}.",
}
LEAVING = "Cancelled. It lasts until {end}."
INVOICE_STATUSES = {
    "draft": "draft",
    "open": "open",
    "paid": "paid",
    "void": "void",
    "uncollectible": "given up",
}


def money(cents: int) -> str:
    """Format cents: ``$29.00``, or ``−$14.50`` for a refund."""
    return f"{'−' if cents < 0 else ''}${abs(cents) / 100:,.2f}"


def day(moment: int) -> str:
    """Seconds since 1970 as ``20 December 2026``, in UTC."""
    date = datetime.fromtimestamp(moment, UTC)
    return f"{date.day} {date:%B %Y}"


def rate(price: Price) -> str:
    """``$29.00 a month``, or ``$0.001 an image`` for a metered price."""
    if price.metered:
        return f"${Decimal(price.cents) / 100} an image"
    return f"{money(price.amount)} a {price.interval}"


def prices_of(subscription: Document) -> list[Price]:
    return [PRICES[item["price"]["id"]] for item in subscription["items"]["data"]]


def period_end(subscription: Document) -> int:
    """Return when the paid period or the trial ends, in seconds since 1970."""
    return max(int(item["current_period_end"]) for item in subscription["items"]["data"])


def effect_of_change(subscription: Document, after: Sequence[Price]) -> str:
    """Describe when another plan starts, and what happens to the payment for the current one."""
    before, end = prices_of(subscription), day(period_end(subscription))
    if subscription["status"] == "trialing":
        return f"It changes at once. The trial goes on until {end}; nothing is charged before."
    if {price.interval for price in before} != {price.interval for price in after}:
        return (
            "It changes at once, and a new period begins today. What is left of the old one is "
            "taken off its price."
        )
    if sum(price.amount for price in after) > sum(price.amount for price in before):
        return f"It changes at once. The difference for the time until {end} is charged today."
    return (
        f"It changes at once. The difference for the time until {end} is taken off the next "
        "invoices."
    )


def products(prices: Sequence[Price]) -> str:
    """``Lightwell Team``; ``Lightwell Team and Lightwell images``."""
    return " and ".join(price.product for price in prices)


def rates(prices: Sequence[Price]) -> str:
    return " and ".join(rate(price) for price in prices)


def describe_state(subscription: Document) -> str:
    """Describe a subscription's state and its end in one or two sentences."""
    status = subscription["status"]
    end = day(subscription["ended_at"] or period_end(subscription))
    sentence = STATES[status].format(end=end, rates=rates(prices_of(subscription)))
    if not subscription["cancel_at_period_end"] or subscription["ended_at"]:
        return sentence
    return (
        LEAVING.format(end=end)
        if status in ("active", "trialing")
        else f"{sentence} It ends on {end}."
    )
