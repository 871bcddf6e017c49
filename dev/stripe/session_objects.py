"""Stripe's JSON of Checkout and portal sessions.

Names and shapes are those of API version 2026-10-28.endive, as the ``stripe`` package declares
them.
"""

from typing import Any

from dev.stripe.catalogue import CURRENCY
from dev.stripe.objects import nulls
from dev.stripe.store import Document

CHECKOUT: Document = {
    **nulls(
        "after_expiration allow_promotion_codes billing_address_collection cancel_url "
        "client_reference_id client_secret collected_information consent consent_collection "
        "currency_conversion customer_creation customer_email invoice invoice_creation locale "
        "origin_context payment_intent payment_link payment_method_configuration_details "
        "payment_method_options permissions recovered_from saved_payment_method_options "
        "setup_intent shipping_address_collection shipping_cost submit_type subscription "
        "success_url wallet_options"
    ),
    "object": "checkout.session",
    "automatic_tax": {"enabled": False} | nulls("liability provider status"),
    "currency": CURRENCY,
    "custom_fields": [],
    "custom_text": nulls("after_submit shipping_address submit terms_of_service_acceptance"),
    "discounts": [],
    "livemode": False,
    "metadata": {},
    "mode": "subscription",
    "payment_method_collection": "always",
    "payment_method_types": ["card"],
    "payment_status": "unpaid",
    "phone_number_collection": {"enabled": False},
    "shipping_options": [],
    "status": "open",
    "total_details": dict.fromkeys(("amount_discount", "amount_shipping", "amount_tax"), 0),
    "ui_mode": "hosted_page",
}
"""What is the same in every open session."""


def checkout_json(
    session_id: str, now: int, expires_at: int, customer: Document, amount: int, url: str
) -> Document:
    """Return an open session without the caller's fields: URLs, reference and metadata."""
    return CHECKOUT | {
        "id": session_id,
        "amount_subtotal": amount,
        "amount_total": amount,
        "created": now,
        "customer": customer["id"],
        "customer_details": {
            **nulls("address phone tax_ids"),
            "email": customer["email"],
            "name": customer["name"],
            "tax_exempt": "none",
        },
        "expires_at": expires_at,
        "url": url,
    }


def portal_json(
    session_id: str,
    now: int,
    customer_id: str,
    return_url: str | None,
    flow: dict[str, Any] | None,
    url: str,
) -> Document:
    return {
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": "bpc_fake_stripe",
        "created": now,
        "customer": customer_id,
        "flow": flow,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": return_url,
        "url": url,
    }
