"""The cards that customers pay with."""

from dev.stripe.journal import StatePart, new_id
from dev.stripe.objects import Card, payment_method_json
from dev.stripe.store import Document


class Cards(StatePart):
    def make(self, customer: Document, card: Card) -> Document:
        return payment_method_json(new_id("pm"), self.journal.now(), customer, card)

    def attach(self, customer_id: str, card: Card) -> None:
        """Use this card for all later payments of the customer."""
        customer = self.journal.customer(customer_id)
        method = self.make(customer, card)
        self.journal.save(method, "payment_method.attached")
        customer["invoice_settings"]["default_payment_method"] = method["id"]
        self.journal.save(customer, "customer.updated")
