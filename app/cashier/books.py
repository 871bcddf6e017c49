"""The test cashier's books: everything that can happen to customers and their subscriptions, as
Stripe would tell it.

All methods take and return plain values and dicts in Stripe's shape. Each is one change: it happens
with all its events or not at all. What is refused raises CashierError.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Literal

from app.cashier.errors import declined, refused
from app.cashier.invoices import Invoices
from app.cashier.ledger import UNDELIVERED, Ledger, new_id
from app.cashier.meter import Meter
from app.cashier.objects import Card, customer_json, deleted_customer_json
from app.cashier.payment_objects import dispute_json
from app.cashier.sessions import Cards, Checkout, Order, Portal
from app.cashier.store import Document, Store
from app.cashier.subscriptions import ENDED, Subscriptions, known_prices

NOTHING: Mapping[str, str] = {}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Books:
    """``path`` None keeps everything in memory; ``delivers`` marks events for delivery, until they
    are delivered."""

    def __init__(
        self,
        path: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        *,
        delivers: bool = False,
    ) -> None:
        self.store = Store(path)
        self._ledger = Ledger(self.store, clock, delivers=delivers)
        self._cards = Cards(self._ledger)
        self._invoices = Invoices(self._ledger)
        self._meter = Meter(self._ledger)
        self._subscriptions = Subscriptions(self._ledger, self._invoices, self._meter)
        self._checkout = Checkout(self._ledger, self._invoices, self._subscriptions, self._cards)
        self._portal = Portal(self._ledger, self._subscriptions)

    def find(self, kind: str, document_id: str, param: str = "id") -> Document:
        """Any object by Stripe's name of its kind: ``subscription``, ``invoice``, ``charge``,
        ``event`` …"""
        return self._ledger.find(kind, document_id, param)

    def all(self, kind: str, customer_id: str | None = None) -> list[Document]:
        """All objects of a kind, or those of a customer, oldest first."""
        return self.store.all(kind, customer_id)

    # Customers

    def create_customer(
        self, email: str | None, name: str | None = None, metadata: Mapping[str, str] = NOTHING
    ) -> Document:
        with self._ledger.transaction():
            customer = customer_json(new_id("cus"), self._ledger.now(), email, name, dict(metadata))
            self._ledger.save(customer, "customer.created")
        return customer

    def update_customer(self, customer_id: str, changes: Document) -> Document:
        """``changes`` may name ``email``, ``name`` and ``metadata``, which is merged; an empty
        value removes a key."""
        with self._ledger.transaction():
            customer = self._ledger.customer(customer_id, "id")
            metadata = customer["metadata"] | changes.get("metadata", {})
            changes = changes | {
                "metadata": {key: value for key, value in metadata.items() if value != ""}
            }
            self._ledger.save(customer | changes, "customer.updated")
        return customer | changes

    def delete_customer(self, customer_id: str) -> Document:
        """Its subscriptions end at once."""
        with self._ledger.transaction():
            customer = self._ledger.customer(customer_id, "id")
            for subscription in self._going_of(customer_id):
                self._subscriptions.end(subscription, "cancellation_requested")
            deleted = deleted_customer_json(customer_id)
            self._ledger.save(deleted)
            self._ledger.emit("customer.deleted", customer)
        return deleted

    def customer(self, customer_id: str) -> Document:
        """A deleted one is ``{"id", "object", "deleted": true}``."""
        return self._ledger.find("customer", customer_id)

    def customers(self) -> list[Document]:
        """Those that were not deleted, oldest first."""
        return [customer for customer in self.store.all("customer") if not customer.get("deleted")]

    def card_of(self, customer_id: str) -> Document | None:
        """The payment method that the customer's payments are tried with."""
        method_id = self._ledger.customer(customer_id)["invoice_settings"]["default_payment_method"]
        return self._ledger.find("payment_method", method_id) if method_id else None

    def set_card(self, customer_id: str, card: Card) -> Document:
        """What is open is tried at once with a card that works, as Stripe's portal offers. Returns
        the customer."""
        with self._ledger.transaction():
            self._cards.attach(customer_id, card)
            for subscription in self._going_of(customer_id):
                if card == "works" and self._invoices.unpaid(subscription):
                    self._subscriptions.retry(subscription)
        return self.customer(customer_id)

    def subscriptions_of(self, customer_id: str) -> list[Document]:
        return self.store.all("subscription", customer_id)

    def invoices_of(self, customer_id: str) -> list[Document]:
        return self.store.all("invoice", customer_id)

    def charges_of(self, customer_id: str) -> list[Document]:
        return self.store.all("charge", customer_id)

    # Checkout and the portal

    def open_checkout(
        self,
        customer_id: str,
        order: Order,
        host_url: str = "http://cashier/",
        chosen: Mapping[str, object] = NOTHING,
    ) -> Document:
        """``chosen``: success_url, cancel_url, client_reference_id, metadata."""
        with self._ledger.transaction():
            return self._checkout.open(customer_id, order, host_url, dict(chosen))

    def checkout(self, session_id: str) -> Document:
        with self._ledger.transaction():
            return self._checkout.find(session_id)

    def order(self, session_id: str) -> Order:
        """What a Checkout session sells."""
        return self._checkout.order(session_id)

    def complete_checkout(self, session_id: str, card: Card = "works") -> Document:
        """Pay. A card that declines raises CashierError ``card_declined`` and leaves the session
        open."""
        with self._ledger.transaction():
            paid = self._checkout.complete(session_id, card)
        if not paid:
            raise declined()
        return self.checkout(session_id)

    def expire_checkout(self, session_id: str) -> Document:
        with self._ledger.transaction():
            return self._checkout.expire(session_id)

    def portal(
        self, customer_id: str, return_url: str | None = None, flow: Document | None = None,
        host_url: str = "http://cashier/",
    ) -> Document:  # fmt: skip
        """``flow`` as Stripe's ``flow_data``."""
        with self._ledger.transaction():
            return self._portal.open(customer_id, return_url, flow, host_url)

    def portal_session(self, session_id: str) -> Document:
        return self._portal.find(session_id)

    def confirm_flow(self, session_id: str) -> Document:
        """Change the prices as the portal session's ``subscription_update_confirm`` says."""
        with self._ledger.transaction():
            flow = self._portal.find(session_id)["flow"]
            if not flow or not flow["subscription_update_confirm"]:
                raise refused("This portal session has nothing to confirm.", "flow_data")
            update = flow["subscription_update_confirm"]
            wanted = {item["id"]: item["price"] for item in update["items"]}
            items = self._subscriptions.find(update["subscription"])["items"]["data"]
            return self.change_prices(
                update["subscription"],
                [wanted.get(item["id"], item["price"]["id"]) for item in items],
            )

    # Subscriptions

    def subscription(self, subscription_id: str) -> Document:
        return self._subscriptions.find(subscription_id)

    def subscribe(
        self,
        customer_id: str,
        price_ids: Sequence[str],
        *,
        trial_days: int = 0,
        metadata: Mapping[str, str] = NOTHING,
        card: Card = "works",
    ) -> Document:
        """As a server does it, without Checkout: incomplete when the card declines."""
        prices = known_prices(price_ids)
        with self._ledger.transaction():
            self._cards.attach(customer_id, card)
            return self._subscriptions.open(customer_id, prices, trial_days, metadata)

    def change_prices(self, subscription_id: str, price_ids: Sequence[str]) -> Document:
        """At once, with an invoice over the difference."""
        prices = known_prices(price_ids)
        return self._changed(
            subscription_id, lambda: self._subscriptions.change_prices(subscription_id, prices)
        )

    def update_metadata(self, subscription_id: str, metadata: Mapping[str, str]) -> Document:
        return self._changed(
            subscription_id, lambda: self._subscriptions.annotate(subscription_id, metadata)
        )

    def cancel(self, subscription_id: str, at_period_end: bool = False) -> Document:
        if at_period_end:
            return self._changed(
                subscription_id,
                lambda: self._subscriptions.cancel_later(subscription_id, wanted=True),
            )
        return self._changed(
            subscription_id,
            lambda: self._subscriptions.end(
                self._subscriptions.going(subscription_id), "cancellation_requested"
            ),
        )

    def keep(self, subscription_id: str) -> Document:
        """Take a cancellation at the period's end back."""
        return self._changed(
            subscription_id, lambda: self._subscriptions.cancel_later(subscription_id, wanted=False)
        )

    def pause(self, subscription_id: str) -> Document:
        return self._changed(subscription_id, lambda: self._subscriptions.pause(subscription_id))

    def resume(self, subscription_id: str) -> Document:
        """Begins and charges a new period; stays paused when the card declines."""
        return self._changed(subscription_id, lambda: self._subscriptions.resume(subscription_id))

    def end_period(self, subscription_id: str) -> Document:
        """A month or a year passes for it: it is renewed, falls behind, or ends."""
        return self._changed(
            subscription_id, lambda: self._subscriptions.end_period(subscription_id)
        )

    def retry_payment(self, subscription_id: str) -> Document:
        """Try once more what is open, as Stripe does by itself some days later."""
        return self._changed(
            subscription_id,
            lambda: self._subscriptions.retry(self._subscriptions.going(subscription_id)),
        )

    def give_up(self, subscription_id: str, how: Literal["canceled", "unpaid"]) -> Document:
        """After the last retry, what the account's settings say."""
        return self._changed(
            subscription_id,
            lambda: self._subscriptions.give_up(subscription_id, cancel=how == "canceled"),
        )

    def expire_incomplete(self, subscription_id: str) -> Document:
        """The first invoice was not paid for 23 hours."""
        return self._changed(subscription_id, lambda: self._subscriptions.expire(subscription_id))

    # The rest

    def dispute(self, charge_id: str) -> Document:
        """The cardholder denies having paid; once for each charge."""
        with self._ledger.transaction():
            charge = self._ledger.find("charge", charge_id, "charge")
            if not charge["paid"] or charge["disputed"]:
                raise refused("Only a paid charge can be disputed, and only once.", "charge")
            dispute = dispute_json(new_id("du"), self._ledger.now(), charge)
            self._ledger.save(charge | {"disputed": True})
            self._ledger.save(dispute, "charge.dispute.created")
        return dispute

    def report_usage(
        self,
        event_name: str,
        payload: dict[str, str],
        identifier: str | None = None,
        timestamp: int | None = None,
    ) -> Document:
        with self._ledger.transaction():
            return self._meter.report(event_name, payload, identifier, timestamp)

    def meter_events(self) -> list[Document]:
        return self._meter.all()

    # Events

    def events(self, after: str | None = None) -> list[Document]:
        """In the order in which things happened: all, or those after the event with an id."""
        return self.store.all("event", after=after)

    @property
    def news(self) -> Event:
        """Set when there is something to deliver."""
        return self._ledger.news

    def undelivered(self) -> list[str]:
        """Ids of events, oldest first."""
        return [entry["id"] for entry in self.store.all(UNDELIVERED)]

    def delivered(self, event_id: str) -> None:
        with self._ledger.transaction():
            self._ledger.save(self._ledger.find("event", event_id) | {"pending_webhooks": 0})
            self.store.remove(UNDELIVERED, event_id)

    def close(self) -> None:
        self.store.close()

    def _going_of(self, customer_id: str) -> list[Document]:
        return [
            entry for entry in self.subscriptions_of(customer_id) if entry["status"] not in ENDED
        ]

    def _changed(self, subscription_id: str, change: Callable[[], object]) -> Document:
        with self._ledger.transaction():
            change()
            return self._subscriptions.find(subscription_id)
