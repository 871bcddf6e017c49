"""Invoices, and the charges that pay them or fail to."""

from collections.abc import Sequence

from app.cashier.ledger import Ledger, new_id
from app.cashier.objects import NUMBERS
from app.cashier.payment_objects import Line, charge_json, invoice_json, line_json
from app.cashier.store import Document

UNPAID = ("draft", "open")


class Invoices:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def issue(
        self, subscription: Document, reason: str, lines: Sequence[Line], *, final: bool = True
    ) -> Document:
        """A new invoice; one that is not ``final`` stays a draft, as those of unpaid subscriptions
        do."""
        customer = self._ledger.customer(subscription["customer"])
        invoice_id = new_id("in")
        entries = [line_json(new_id("il"), invoice_id, subscription["id"], line) for line in lines]
        invoice = invoice_json(
            invoice_id, self._ledger.now(), customer, subscription, reason, entries
        )
        invoice["auto_advance"] = final
        customer["balance"] = invoice["ending_balance"]
        self._ledger.save(customer)
        self._ledger.save(invoice, "invoice.created")
        if final:
            self._finalize(invoice)
        return invoice

    def collect(self, invoice: Document) -> bool:
        """Try to have an invoice paid with the customer's card. One that asks for nothing is paid
        without it."""
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
            invoice["status_transitions"]["paid_at"] = self._ledger.now()
            self._ledger.save(invoice, "invoice.paid", "invoice.payment_succeeded")
        else:
            self._ledger.save(invoice, "invoice.payment_failed")
        return paid

    def charge(self, customer_id: str, amount: int, description: str) -> bool:
        """Try the customer's card; nobody has a subscription without one."""
        customer = self._ledger.customer(customer_id)
        method = self._ledger.find(
            "payment_method", customer["invoice_settings"]["default_payment_method"]
        )
        return self.charge_card(customer, method, amount, description)

    def charge_card(
        self, customer: Document, method: Document, amount: int, description: str
    ) -> bool:
        paid = bool(method["card"]["last4"] == NUMBERS["works"])
        charge = charge_json(
            new_id("ch"),
            self._ledger.now(),
            customer,
            amount,
            method["id"],
            paid=paid,
            description=description,
        )
        self._ledger.save(charge, "charge.succeeded" if paid else "charge.failed")
        return paid

    def void(self, invoice: Document) -> None:
        """Nobody is to pay it any more, and the credit that it took is given back."""
        customer = self._ledger.customer(invoice["customer"])
        customer["balance"] += invoice["starting_balance"] - invoice["ending_balance"]
        self._ledger.save(customer)
        invoice |= {"status": "void", "auto_advance": False}
        invoice["status_transitions"]["voided_at"] = self._ledger.now()
        self._ledger.save(invoice, "invoice.voided")

    def unpaid(self, subscription: Document) -> list[Document]:
        """Oldest first."""
        return [
            invoice
            for invoice in self._ledger.store.all("invoice", subscription["customer"])
            if invoice["status"] in UNPAID
            and invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
        ]

    def _finalize(self, invoice: Document) -> None:
        customer = self._ledger.customer(invoice["customer"])
        number = customer["next_invoice_sequence"]
        invoice |= {
            "status": "open",
            "number": f"{customer['invoice_prefix']}-{number:04d}",
            "auto_advance": True,
        }
        invoice["status_transitions"]["finalized_at"] = self._ledger.now()
        customer["next_invoice_sequence"] = number + 1
        self._ledger.save(customer)
        self._ledger.save(invoice, "invoice.finalized")
