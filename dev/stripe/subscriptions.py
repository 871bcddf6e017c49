"""Subscriptions: their periods, payments and states."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, Literal, ParamSpec

from dev.stripe.cards import Cards
from dev.stripe.catalogue import PRICES, Price
from dev.stripe.errors import missing, refused
from dev.stripe.invoices import Invoices
from dev.stripe.items import exchanged, period_from
from dev.stripe.journal import Journal, StatePart, atomic, new_id
from dev.stripe.lines import difference, period_line, price_of, trial_line, usage_line
from dev.stripe.meter import Meter
from dev.stripe.objects import Card, item_json, subscription_json
from dev.stripe.payment_objects import InvoiceLine
from dev.stripe.periods import end_of
from dev.stripe.store import Document

DAY = 24 * 60 * 60
ENDED = ("canceled", "incomplete_expired")
RUNNING = ("trialing", "active", "past_due")
UPDATED = "customer.subscription.updated"
NOTHING: Mapping[str, str] = {}
P = ParamSpec("P")


def known_prices(price_ids: Sequence[str]) -> list[Price]:
    """Return the prices in this order. Raises FakeStripeError for no, unknown or repeated
    prices."""
    if not price_ids:
        raise refused("A subscription needs at least one price.", "items", "parameter_missing")
    if unknown := [price_id for price_id in price_ids if price_id not in PRICES]:
        raise missing("price", unknown[0], "items")
    if len(set(price_ids)) < len(price_ids):
        raise refused("A subscription cannot have two items with the same price.", "items")
    return [PRICES[price_id] for price_id in price_ids]


def change(
    method: Callable[Concatenate["Subscriptions", str, P], None],
) -> Callable[Concatenate["Subscriptions", str, P], Document]:
    """Wrap a method that changes a subscription by id: it runs in a transaction with its events,
    and returns the subscription."""

    @wraps(method)
    def changed(
        self: "Subscriptions", subscription_id: str, /, *args: P.args, **kwargs: P.kwargs
    ) -> Document:
        method(self, subscription_id, *args, **kwargs)
        return self.find(subscription_id)

    return atomic(changed)


class Subscriptions(StatePart):
    def __init__(self, journal: Journal, cards: Cards, invoices: Invoices, meter: Meter) -> None:
        super().__init__(journal)
        self._cards = cards
        self._invoices = invoices
        self._meter = meter

    @atomic
    def create(
        self,
        customer_id: str,
        price_ids: Sequence[str],
        *,
        trial_days: int = 0,
        metadata: Mapping[str, str] = NOTHING,
        card: Card = "works",
    ) -> Document:
        """Create a subscription: trialing if there are trial days, active if the card pays the
        first invoice, else incomplete."""
        prices = known_prices(price_ids)
        self._cards.attach(customer_id, card)
        now, subscription_id = self.journal.now(), new_id("sub")
        trial_end = now + trial_days * DAY if trial_days else None
        items = [
            item_json(
                new_id("si"),
                now,
                subscription_id,
                price,
                now,
                trial_end or end_of(now, price.interval),
            )
            for price in prices
        ]
        customer = self.journal.customer(customer_id)
        subscription = subscription_json(
            subscription_id, now, customer["id"], items, dict(metadata), trial_end
        )
        self.journal.save(subscription, "customer.subscription.created")
        first_line = trial_line if trial_end else _first_line
        self._bill(subscription, "subscription_create", [first_line(item) for item in items])
        return subscription

    def find(self, subscription_id: str) -> Document:
        return self.journal.find("subscription", subscription_id)

    @change
    def end_period(self, subscription_id: str) -> None:
        """End the current period: the subscription or its trial ends, or the next invoice is
        issued.

        The new period starts at the end of the old one if the clock has passed it, else now.
        """
        subscription = self._going(subscription_id, *RUNNING, "unpaid")
        if subscription["cancel_at_period_end"]:
            self._end(subscription, "cancellation_requested")
            return
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
            subscription["trial_end"] = min(subscription["trial_end"], self.journal.now())
        lines = self._renew(subscription)
        self.journal.save(subscription, UPDATED)
        if subscription["status"] == "unpaid":
            draft = self._invoices.issue(subscription, "subscription_cycle", lines, final=False)
            self.journal.save(subscription | {"latest_invoice": draft["id"]}, UPDATED)
        else:
            self._bill(subscription, "subscription_cycle", lines)

    @change
    def change_prices(self, subscription_id: str, price_ids: Sequence[str]) -> None:
        """Change the prices at once, with an invoice over the difference for the remaining time. A
        downgrade leaves credit.

        Another interval begins a new period. A trial goes on and costs nothing.
        """
        prices, subscription = known_prices(price_ids), self._going(subscription_id, *RUNNING)
        old, now = subscription["items"]["data"], self.journal.now()
        if {item["price"]["id"] for item in old} == {price.id for price in prices}:
            return
        trial = subscription["status"] == "trialing"
        new = exchanged(subscription, prices, now)
        if not trial and {price_of(item).interval for item in old} != {
            price.interval for price in prices
        }:
            subscription["billing_cycle_anchor"] = now
            new = [item | period_from(now, price_of(item)) for item in new]
        subscription["items"]["data"] = new
        self.journal.save(subscription, UPDATED)
        if lines := [] if trial else difference(old, new, now):
            self._bill(subscription, "subscription_update", lines)

    @change
    def update_metadata(self, subscription_id: str, metadata: Mapping[str, str]) -> None:
        """Merge ``metadata``; an empty value removes a key."""
        subscription = self.find(subscription_id)
        merged = subscription["metadata"] | dict(metadata)
        subscription["metadata"] = {key: value for key, value in merged.items() if value != ""}
        self.journal.save(subscription, UPDATED)

    @change
    def cancel(self, subscription_id: str, at_period_end: bool = False) -> None:
        """Cancel at once, or at the end of the paid period."""
        if at_period_end:
            self._cancel_later(subscription_id, wanted=True)
        else:
            self._end(self._going(subscription_id), "cancellation_requested")

    @change
    def keep(self, subscription_id: str) -> None:
        """Undo a cancellation at the period's end."""
        self._cancel_later(subscription_id, wanted=False)

    @change
    def pause(self, subscription_id: str) -> None:
        subscription = self._going(subscription_id, "trialing", "active")
        subscription["status"] = "paused"
        self.journal.save(subscription, UPDATED, "customer.subscription.paused")

    @change
    def resume(self, subscription_id: str) -> None:
        """Resume with a new period. If its invoice is not paid, the subscription stays paused."""
        subscription = self._going(subscription_id, "paused")
        paused_items = self.find(subscription_id)["items"]
        invoice = self._invoices.issue(
            subscription, "subscription_update", self._renew(subscription)
        )
        subscription["latest_invoice"] = invoice["id"]
        if self._invoices.collect(invoice):
            subscription |= {"status": "active", "billing_cycle_anchor": self.journal.now()}
            self.journal.save(subscription, UPDATED, "customer.subscription.resumed")
        else:
            self._invoices.void(invoice)
            self.journal.save(subscription | {"items": paused_items}, UPDATED)

    @change
    def retry_payment(self, subscription_id: str) -> None:
        """Try to collect all open invoices, as Stripe does by itself some days later. Raises
        FakeStripeError if none are open."""
        subscription = self._going(subscription_id)
        unpaid = self._invoices.unpaid(subscription)
        if not unpaid:
            raise refused("This subscription has no invoice to pay.", "subscription")
        paid = all(self._invoices.collect(invoice) for invoice in unpaid)
        self._settle(subscription, paid=paid)

    @change
    def give_up(self, subscription_id: str, how: Literal["canceled", "unpaid"]) -> None:
        """Cancel the subscription or mark it unpaid, as an account's settings choose after the last
        failed payment."""
        subscription = self._going(subscription_id, "past_due")
        if how == "canceled":
            self._end(subscription, "payment_failed")
        else:
            self.journal.save(subscription | {"status": "unpaid"}, UPDATED)

    @change
    def expire(self, subscription_id: str) -> None:
        """Expire an incomplete subscription and void its first invoice, as Stripe does after 23
        hours."""
        subscription = self._going(subscription_id, "incomplete")
        self._void_unpaid(subscription)
        self.journal.save(
            subscription | {"status": "incomplete_expired", "ended_at": self.journal.now()},
            UPDATED,
        )

    def _going(self, subscription_id: str, *statuses: str) -> Document:
        """Return a subscription in one of ``statuses``, or any that has not ended. Raises
        FakeStripeError."""
        subscription = self.find(subscription_id)
        status = subscription["status"]
        if status in ENDED or (statuses and status not in statuses):
            raise refused(
                f"This subscription is {status}, which does not allow it.", "subscription"
            )
        return subscription

    def _cancel_later(self, subscription_id: str, *, wanted: bool) -> None:
        subscription = self._going(subscription_id, *RUNNING, "unpaid")
        if subscription["cancel_at_period_end"] == wanted:
            return
        ends = max(item["current_period_end"] for item in subscription["items"]["data"])
        subscription |= {
            "cancel_at_period_end": wanted,
            "cancel_at": ends if wanted else None,
            "canceled_at": self.journal.now() if wanted else None,
        }
        subscription["cancellation_details"]["reason"] = (
            "cancellation_requested" if wanted else None
        )
        self.journal.save(subscription, UPDATED)

    def _end(self, subscription: Document, reason: str) -> None:
        now = self.journal.now()
        if subscription["status"] == "incomplete":
            self._void_unpaid(subscription)
        subscription |= {
            "status": "canceled",
            "canceled_at": subscription["canceled_at"] or now,
            "ended_at": now,
        }
        subscription["cancellation_details"]["reason"] = reason
        self.journal.save(subscription, "customer.subscription.deleted")

    def _bill(self, subscription: Document, reason: str, lines: Sequence[InvoiceLine]) -> None:
        invoice = self._invoices.issue(subscription, reason, lines)
        subscription["latest_invoice"] = invoice["id"]
        owed = invoice["amount_due"] > 0
        paid = self._invoices.collect(invoice)
        if owed or subscription["status"] != "past_due":
            self._settle(subscription, paid=paid)
        else:
            self.journal.save(subscription, UPDATED)

    def _settle(self, subscription: Document, *, paid: bool) -> None:
        """Update a subscription's status after a payment or a failed one."""
        status = subscription["status"]
        if paid and status in ("incomplete", "past_due", "unpaid"):
            subscription["status"] = "active"
        elif not paid and status == "active":
            subscription["status"] = "past_due"
        self.journal.save(subscription, UPDATED)

    def _renew(self, subscription: Document) -> list[InvoiceLine]:
        """Start the next period of every item. Returns the lines for it and for the metered usage
        of the last one."""
        now, lines = self.journal.now(), []
        for item in subscription["items"]["data"]:
            start = min(item["current_period_end"], now)
            if price_of(item).metered:
                counted = self._meter.counted(
                    subscription["customer"], item["current_period_start"], start
                )
                lines.append(usage_line(item, counted))
            item |= period_from(start, price_of(item))
            if not price_of(item).metered:
                lines.append(period_line(item))
        return lines

    def _void_unpaid(self, subscription: Document) -> None:
        for invoice in self._invoices.unpaid(subscription):
            self._invoices.void(invoice)


def _first_line(item: Document) -> InvoiceLine:
    return usage_line(item, 0) if price_of(item).metered else period_line(item)
