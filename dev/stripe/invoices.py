"""Invoices, and the charges that pay them or fail to."""

from collections.abc import Sequence

from dev.stripe.errors import refused
from dev.stripe.journal import StatePart, atomic, new_id
from dev.stripe.objects import NUMBERS
from dev.stripe.payment_objects import (
    InvoiceLine,
    charge_json,
    dispute_json,
    invoice_json,
    line_json,
)
from dev.stripe.store import Document

UNPAID = ("draft", "open")


class Invoices(StatePart):
    def issue(
        self,
        subscription: Document,
        reason: str,
        lines: Sequence[InvoiceLine],
        *,
        final: bool = True,
    ) -> Document:
        """Create an invoice. If not ``final`` it stays a draft, as for unpaid subscriptions."""
        customer = self.journal.customer(subscription["customer"])
        invoice_id = new_id("in")
        entries = [line_json(new_id("il"), invoice_id, subscription["id"], line) for line in lines]
        invoice = invoice_json(
            invoice_id, self.journal.now(), customer, subscription, reason, entries
        )
        invoice["auto_advance"] = final
        customer["balance"] = invoice["ending_balance"]
        self.journal.save(customer)
        self.journal.save(invoice, "invoice.created")
        if final:
            self._finalize(invoice)
        return invoice

    def collect(self, invoice: Document) -> bool:
        """Charge the customer's card for an invoice. An invoice over nothing is paid without a
        charge."""
        if invoice["status"] == "draft":
            self._finalize(invoice)
        paid = invoice["amount_remaining"] == 0 or self.charge(
            invoice["customer"], invoice["amount_remaining"], f"Invoice {invoice['number']}"
        )
        invoice["attempted"] = True
        invoice["attempt_count"] += 1
        if paid:
            invoice |= {
                "status": "paid",
                "amount_paid": invoice["amount_due"],
                "amount_remaining": 0,
            }
            invoice["auto_advance"] = False
            invoice["status_transitions"]["paid_at"] = self.journal.now()
            self.journal.save(invoice, "invoice.paid", "invoice.payment_succeeded")
        else:
            self.journal.save(invoice, "invoice.payment_failed")
        return paid

    def charge(self, customer_id: str, amount: int, description: str) -> bool:
        """Charge the customer's card; every customer with a subscription has one."""
        customer = self.journal.customer(customer_id)
        method = self.journal.find(
            "payment_method", customer["invoice_settings"]["default_payment_method"]
        )
        return self.charge_card(customer, method, amount, description)

    def charge_card(
        self, customer: Document, method: Document, amount: int, description: str
    ) -> bool:
        paid = bool(method["card"]["last4"] == NUMBERS["works"])
        charge = charge_json(
            new_id("ch"),
            self.journal.now(),
            customer,
            amount,
            method["id"],
            paid=paid,
            description=description,
        )
        self.journal.save(charge, "charge.succeeded" if paid else "charge.failed")
        return paid

    def void(self, invoice: Document) -> None:
        """Void the invoice and return the credit that it used."""
        customer = self.journal.customer(invoice["customer"])
        customer["balance"] += invoice["starting_balance"] - invoice["ending_balance"]
        self.journal.save(customer)
        invoice |= {"status": "void", "auto_advance": False}
        invoice["status_transitions"]["voided_at"] = self.journal.now()
        self.journal.save(invoice, "invoice.voided")

    def unpaid(self, subscription: Document) -> list[Document]:
        """Oldest first."""
        return [
            invoice
            for invoice in self.journal.all("invoice", subscription["customer"])
            if invoice["status"] in UNPAID
            and invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
        ]

    @atomic
    def dispute(self, charge_id: str) -> Document:
        """Dispute a charge, at most once per charge."""
        charge = self.journal.find("charge", charge_id, "charge")
        if not charge["paid"] or charge["disputed"]:
            raise refused("Only a paid charge can be disputed, and only once.", "charge")
        dispute = dispute_json(new_id("du"), self.journal.now(), charge)
        self.journal.save(charge | {"disputed": True})
        self.journal.save(dispute, "charge.dispute.created")
        return dispute

    def _finalize(self, invoice: Document) -> None:
        customer = self.journal.customer(invoice["customer"])
        number = customer["next_invoice_sequence"]
        invoice |= {
            "status": "open",
            "number": f"{customer['invoice_prefix']}-{number:04d}",
            "auto_advance": True,
        }
        invoice["status_transitions"]["finalized_at"] = self.journal.now()
        customer["next_invoice_sequence"] = number + 1
        self.journal.save(customer)
        self.journal.save(invoice, "invoice.finalized")
