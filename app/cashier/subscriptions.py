"""Subscriptions: what a customer pays for, period by period, and what becomes of it when the
customer does not."""

from collections.abc import Mapping, Sequence

from app.cashier.catalogue import PRICES, Price
from app.cashier.errors import missing, refused
from app.cashier.invoices import Invoices
from app.cashier.ledger import Ledger, new_id
from app.cashier.lines import difference, period_line, price_of, trial_line, usage_line
from app.cashier.meter import Meter
from app.cashier.objects import item_json, plan_json, price_json, subscription_json
from app.cashier.payment_objects import Line
from app.cashier.periods import end_of
from app.cashier.store import Document

DAY = 24 * 60 * 60
ENDED = ("canceled", "incomplete_expired")
RUNNING = ("trialing", "active", "past_due")
UPDATED = "customer.subscription.updated"


def known_prices(price_ids: Sequence[str]) -> list[Price]:
    """The prices, in this order. Raises CashierError for none, unknown ones, and the same one
    twice."""
    if not price_ids:
        raise refused("A subscription needs at least one price.", "items", "parameter_missing")
    if unknown := [price_id for price_id in price_ids if price_id not in PRICES]:
        raise missing("price", unknown[0], "items")
    if len(set(price_ids)) < len(price_ids):
        raise refused("A subscription cannot have two items with the same price.", "items")
    return [PRICES[price_id] for price_id in price_ids]


class Subscriptions:
    def __init__(self, ledger: Ledger, invoices: Invoices, meter: Meter) -> None:
        self._ledger = ledger
        self._invoices = invoices
        self._meter = meter

    def open(
        self,
        customer_id: str,
        prices: Sequence[Price],
        trial_days: int,
        metadata: Mapping[str, str],
    ) -> Document:
        """Active where the card pays the first invoice, else incomplete; trialing where there are
        days for it."""
        now, subscription_id = self._ledger.now(), new_id("sub")
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
        customer = self._ledger.customer(customer_id)
        subscription = subscription_json(
            subscription_id, now, customer["id"], items, dict(metadata), trial_end
        )
        self._ledger.save(subscription, "customer.subscription.created")
        first_line = trial_line if trial_end else _first_line
        self._bill(subscription, "subscription_create", [first_line(item) for item in items])
        return subscription

    def find(self, subscription_id: str) -> Document:
        return self._ledger.find("subscription", subscription_id)

    def going(self, subscription_id: str, *statuses: str) -> Document:
        """A subscription in one of ``statuses``, or any that has not ended. Raises CashierError."""
        subscription = self.find(subscription_id)
        status = subscription["status"]
        if status in ENDED or (statuses and status not in statuses):
            raise refused(
                f"This subscription is {status}, which does not allow it.", "subscription"
            )
        return subscription

    def end_period(self, subscription_id: str) -> None:
        """The paid time is over: the end of the subscription, of its trial, or the next invoice.

        The new period begins now, or at the end of the old one where the clock has passed that.
        """
        subscription = self.going(subscription_id, *RUNNING, "unpaid")
        if subscription["cancel_at_period_end"]:
            self.end(subscription, "cancellation_requested")
            return
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
            subscription["trial_end"] = min(subscription["trial_end"], self._ledger.now())
        lines = self._renew(subscription)
        self._ledger.save(subscription, UPDATED)
        if subscription["status"] == "unpaid":
            draft = self._invoices.issue(subscription, "subscription_cycle", lines, final=False)
            self._ledger.save(subscription | {"latest_invoice": draft["id"]}, UPDATED)
        else:
            self._bill(subscription, "subscription_cycle", lines)

    def change_prices(self, subscription_id: str, prices: Sequence[Price]) -> None:
        """At once, with an invoice over the difference for the time that is left; a downgrade
        leaves credit.

        Another interval begins a new period. A trial goes on and costs nothing.
        """
        subscription = self.going(subscription_id, *RUNNING)
        old, now = subscription["items"]["data"], self._ledger.now()
        if {item["price"]["id"] for item in old} == {price.id for price in prices}:
            return
        trial = subscription["status"] == "trialing"
        new = _exchanged(subscription, prices, now)
        if not trial and {price_of(item).interval for item in old} != {
            price.interval for price in prices
        }:
            subscription["billing_cycle_anchor"] = now
            new = [item | _period(now, price_of(item)) for item in new]
        subscription["items"]["data"] = new
        self._ledger.save(subscription, UPDATED)
        if lines := [] if trial else difference(old, new, now):
            self._bill(subscription, "subscription_update", lines)

    def annotate(self, subscription_id: str, metadata: Mapping[str, str]) -> None:
        """Merge ``metadata``; an empty value removes a key."""
        subscription = self.find(subscription_id)
        merged = subscription["metadata"] | dict(metadata)
        subscription["metadata"] = {key: value for key, value in merged.items() if value != ""}
        self._ledger.save(subscription, UPDATED)

    def cancel_later(self, subscription_id: str, *, wanted: bool) -> None:
        """Let it end with the period that is paid, or take that back."""
        subscription = self.going(subscription_id, *RUNNING, "unpaid")
        if subscription["cancel_at_period_end"] == wanted:
            return
        ends = max(item["current_period_end"] for item in subscription["items"]["data"])
        subscription |= {
            "cancel_at_period_end": wanted,
            "cancel_at": ends if wanted else None,
            "canceled_at": self._ledger.now() if wanted else None,
        }
        subscription["cancellation_details"]["reason"] = (
            "cancellation_requested" if wanted else None
        )
        self._ledger.save(subscription, UPDATED)

    def end(self, subscription: Document, reason: str) -> None:
        now = self._ledger.now()
        if subscription["status"] == "incomplete":
            self._void_unpaid(subscription)
        subscription |= {
            "status": "canceled",
            "canceled_at": subscription["canceled_at"] or now,
            "ended_at": now,
        }
        subscription["cancellation_details"]["reason"] = reason
        self._ledger.save(subscription, "customer.subscription.deleted")

    def pause(self, subscription_id: str) -> None:
        subscription = self.going(subscription_id, "trialing", "active")
        subscription["status"] = "paused"
        self._ledger.save(subscription, UPDATED, "customer.subscription.paused")

    def resume(self, subscription_id: str) -> None:
        """A new period begins and must be paid; else it stays paused."""
        subscription = self.going(subscription_id, "paused")
        paused_items = self.find(subscription_id)["items"]
        invoice = self._invoices.issue(
            subscription, "subscription_update", self._renew(subscription)
        )
        subscription["latest_invoice"] = invoice["id"]
        if self._invoices.collect(invoice):
            subscription |= {"status": "active", "billing_cycle_anchor": self._ledger.now()}
            self._ledger.save(subscription, UPDATED, "customer.subscription.resumed")
        else:
            self._invoices.void(invoice)
            self._ledger.save(subscription | {"items": paused_items}, UPDATED)

    def retry(self, subscription: Document) -> bool:
        """Try to have everything paid that is open. Raises CashierError where nothing is."""
        unpaid = self._invoices.unpaid(subscription)
        if not unpaid:
            raise refused("This subscription has no invoice to pay.", "subscription")
        paid = all(self._invoices.collect(invoice) for invoice in unpaid)
        self._settle(subscription, paid=paid)
        return paid

    def give_up(self, subscription_id: str, *, cancel: bool) -> None:
        """What an account's settings say is done when the last attempt to be paid has failed."""
        subscription = self.going(subscription_id, "past_due")
        if cancel:
            self.end(subscription, "payment_failed")
        else:
            self._ledger.save(subscription | {"status": "unpaid"}, UPDATED)

    def expire(self, subscription_id: str) -> None:
        """A first invoice that nobody pays for 23 hours is void, and the subscription never was."""
        subscription = self.going(subscription_id, "incomplete")
        self._void_unpaid(subscription)
        self._ledger.save(
            subscription | {"status": "incomplete_expired", "ended_at": self._ledger.now()}, UPDATED
        )

    def _bill(self, subscription: Document, reason: str, lines: Sequence[Line]) -> None:
        invoice = self._invoices.issue(subscription, reason, lines)
        subscription["latest_invoice"] = invoice["id"]
        owed = invoice["amount_due"] > 0
        paid = self._invoices.collect(invoice)
        if owed or subscription["status"] != "past_due":
            self._settle(subscription, paid=paid)
        else:
            self._ledger.save(subscription, UPDATED)

    def _settle(self, subscription: Document, *, paid: bool) -> None:
        """What a payment, or the lack of one, makes of a subscription."""
        status = subscription["status"]
        if paid and status in ("incomplete", "past_due", "unpaid"):
            subscription["status"] = "active"
        elif not paid and status == "active":
            subscription["status"] = "past_due"
        self._ledger.save(subscription, UPDATED)

    def _renew(self, subscription: Document) -> list[Line]:
        """Begin the next period of every item. Returns what it costs, and what the meter counted in
        the last one."""
        now, lines = self._ledger.now(), []
        for item in subscription["items"]["data"]:
            start = min(item["current_period_end"], now)
            if price_of(item).metered:
                counted = self._meter.counted(
                    subscription["customer"], item["current_period_start"], start
                )
                lines.append(usage_line(item, counted))
            item |= _period(start, price_of(item))
            if not price_of(item).metered:
                lines.append(period_line(item))
        return lines

    def _void_unpaid(self, subscription: Document) -> None:
        for invoice in self._invoices.unpaid(subscription):
            self._invoices.void(invoice)


def _period(start: int, price: Price) -> Document:
    return {"current_period_start": start, "current_period_end": end_of(start, price.interval)}


def _first_line(item: Document) -> Line:
    return usage_line(item, 0) if price_of(item).metered else period_line(item)


def _exchanged(subscription: Document, prices: Sequence[Price], now: int) -> list[Document]:
    """The items for other prices: an item stays with its price, or is given another price of its
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
    """A new item's period ends with that of the others."""
    first = subscription["items"]["data"][0]
    same = subscription["status"] == "trialing" or price_of(first).interval == price.interval
    return (now, first["current_period_end"]) if same else (now, end_of(now, price.interval))
