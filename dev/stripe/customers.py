"""Customers and their cards."""

from collections.abc import Mapping

from dev.stripe.cards import Cards
from dev.stripe.invoices import Invoices
from dev.stripe.journal import Journal, StatePart, atomic, new_id
from dev.stripe.objects import Card, customer_json, deleted_customer_json
from dev.stripe.store import Document
from dev.stripe.subscriptions import ENDED, NOTHING, Subscriptions


class Customers(StatePart):
    def __init__(
        self, journal: Journal, cards: Cards, invoices: Invoices, subscriptions: Subscriptions
    ) -> None:
        super().__init__(journal)
        self._cards = cards
        self._invoices = invoices
        self._subscriptions = subscriptions

    @atomic
    def create(
        self, email: str | None, name: str | None = None, metadata: Mapping[str, str] = NOTHING
    ) -> Document:
        customer = customer_json(new_id("cus"), self.journal.now(), email, name, dict(metadata))
        self.journal.save(customer, "customer.created")
        return customer

    @atomic
    def update(self, customer_id: str, changes: Document) -> Document:
        """``changes`` may name ``email``, ``name`` and ``metadata``, which is merged; an empty
        value removes a key."""
        customer = self.journal.customer(customer_id, "id")
        metadata = customer["metadata"] | changes.get("metadata", {})
        customer |= changes
        customer["metadata"] = {key: value for key, value in metadata.items() if value != ""}
        self.journal.save(customer, "customer.updated")
        return customer

    @atomic
    def delete(self, customer_id: str) -> Document:
        """Delete a customer. Its subscriptions end at once."""
        customer = self.journal.customer(customer_id, "id")
        for subscription in self._going_of(customer_id):
            self._subscriptions.cancel(subscription["id"])
        deleted = deleted_customer_json(customer_id)
        self.journal.save(deleted)
        self.journal.emit("customer.deleted", customer)
        return deleted

    def find(self, customer_id: str) -> Document:
        """Return a customer; a deleted one is ``{"id", "object", "deleted": true}``."""
        return self.journal.find("customer", customer_id)

    def all(self) -> list[Document]:
        """Return all customers that are not deleted, oldest first."""
        return [entry for entry in self.journal.all("customer") if not entry.get("deleted")]

    def card_of(self, customer_id: str) -> Document | None:
        """Return the payment method for the customer's payments."""
        settings = self.journal.customer(customer_id)["invoice_settings"]
        method_id = settings["default_payment_method"]
        return self.journal.find("payment_method", method_id) if method_id else None

    @atomic
    def set_card(self, customer_id: str, card: Card) -> Document:
        """Set the card. With one that works, open invoices are tried at once, as Stripe's portal
        offers. Returns the customer."""
        self._cards.attach(customer_id, card)
        for subscription in self._going_of(customer_id):
            if card == "works" and self._invoices.unpaid(subscription):
                self._subscriptions.retry_payment(subscription["id"])
        return self.find(customer_id)

    def _going_of(self, customer_id: str) -> list[Document]:
        subscriptions = self.journal.all("subscription", customer_id)
        return [entry for entry in subscriptions if entry["status"] not in ENDED]
