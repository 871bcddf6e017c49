"""Stripe's JSON of payments: invoices and their lines, charges, disputes.

Names and shapes are those of API version 2026-10-28.endive, as the ``stripe`` package declares
them. Amounts are cents, moments are seconds since 1970.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dev.stripe.catalogue import CURRENCY, Price
from dev.stripe.objects import NO_TAX, SELF, listed, nulls, product_id
from dev.stripe.store import Document


@dataclass(frozen=True)
class InvoiceLine:
    """A line of an invoice: ``amount`` is in cents, negative for a credit for unused time."""

    price: Price
    item_id: str
    description: str
    amount: int
    start: int
    end: int
    quantity: int = 1
    proration: bool = False


def line_json(line_id: str, invoice_id: str, subscription_id: str, line: InvoiceLine) -> Document:
    return {
        "id": line_id,
        "object": "line_item",
        "amount": line.amount,
        "currency": CURRENCY,
        "description": line.description,
        "discount_amounts": [],
        "discountable": not line.proration,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": line.proration,
                "proration_details": {"credited_items": None},
                "subscription": subscription_id,
                "subscription_item": line.item_id,
            },
            "type": "subscription_item_details",
        },
        "period": {"end": line.end, "start": line.start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": line.price.id, "product": product_id(line.price)},
            "type": "price_details",
            "unit_amount_decimal": line.price.cents,
        },
        "quantity": line.quantity,
        "subscription": subscription_id,
        "subtotal": line.amount,
        "taxes": [],
    }


INVOICE: Document = {
    **nulls(
        "account_tax_ids application automatically_finalizes_at custom_fields customer_address "
        "customer_phone customer_shipping default_payment_method default_source description "
        "due_date footer from_invoice hosted_invoice_url invoice_pdf last_finalization_error "
        "latest_revision next_payment_attempt number on_behalf_of receipt_number rendering "
        "shipping_cost shipping_details statement_descriptor test_clock"
    ),
    **dict.fromkeys(("amount_overpaid", "amount_paid", "amount_shipping", "attempt_count"), 0),
    **dict.fromkeys(("post_payment_credit_notes_amount", "pre_payment_credit_notes_amount"), 0),
    "object": "invoice",
    "account_country": "US",
    "account_name": "Fake Stripe",
    "attempted": False,
    "automatic_tax": NO_TAX | nulls("provider status"),
    "collection_method": "charge_automatically",
    "currency": CURRENCY,
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_tax_rates": [],
    "discounts": [],
    "issuer": SELF,
    "livemode": False,
    "metadata": {},
    "payment_settings": nulls("default_mandate payment_method_options payment_method_types"),
    "status": "draft",
    "total_discount_amounts": [],
    "total_pretax_credit_amounts": [],
    "total_taxes": [],
}
"""What is the same in every new invoice."""


def invoice_json(
    invoice_id: str,
    now: int,
    customer: Document,
    subscription: Document,
    reason: str,
    lines: Sequence[Document],
) -> Document:
    """Return a draft. A negative total becomes credit (a negative balance), which is used for later
    invoices."""
    total = sum(line["amount"] for line in lines)
    balance = customer["balance"]
    due = max(total + balance, 0)
    return INVOICE | {
        "id": invoice_id,
        **dict.fromkeys(("created", "effective_at", "webhooks_delivered_at"), now),
        **dict.fromkeys(("amount_due", "amount_remaining"), due),
        **dict.fromkeys(
            ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"), total
        ),
        "billing_reason": reason,
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "ending_balance": min(total + balance, 0),
        "lines": listed(lines, f"/v1/invoices/{invoice_id}/lines"),
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": subscription["metadata"],
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_end": max(line["period"]["end"] for line in lines),
        "period_start": min(line["period"]["start"] for line in lines),
        "starting_balance": balance,
        "status_transitions": nulls("finalized_at marked_uncollectible_at paid_at voided_at"),
    }


def charge_json(
    charge_id: str,
    now: int,
    customer: Document,
    amount: int,
    method_id: str,
    *,
    paid: bool,
    description: str,
) -> Document:
    return {
        "id": charge_id,
        "object": "charge",
        **nulls(
            "application application_fee application_fee_amount balance_transaction "
            "failure_balance_transaction on_behalf_of outcome payment_intent "
            "payment_method_details receipt_email receipt_number receipt_url review shipping "
            "source source_transfer statement_descriptor statement_descriptor_suffix transfer_data "
            "transfer_group"
        ),
        "amount": amount,
        "amount_captured": amount if paid else 0,
        "amount_refunded": 0,
        "billing_details": nulls("address phone tax_id")
        | {"email": customer["email"], "name": customer["name"]},
        "calculated_statement_descriptor": "FAKE STRIPE",
        "captured": paid,
        "created": now,
        "currency": CURRENCY,
        "customer": customer["id"],
        "description": description,
        "disputed": False,
        "failure_code": None if paid else "card_declined",
        "failure_message": None if paid else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "paid": paid,
        "payment_method": method_id,
        "refunded": False,
        "status": "succeeded" if paid else "failed",
    }


def dispute_json(dispute_id: str, now: int, charge: Document) -> Document:
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": CURRENCY,
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + 7 * 24 * 60 * 60,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": None,
        "payment_method_details": None,
        "reason": "fraudulent",
        "status": "needs_response",
    }
