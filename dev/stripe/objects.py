"""Stripe's JSON of prices, customers, cards, items and subscriptions.

Names and shapes are those of API version 2026-10-28.endive, as the ``stripe`` package declares
them. Amounts are cents, moments are seconds since 1970.
"""

from collections.abc import Sequence
from typing import Any, Literal

from dev.stripe.catalogue import CURRENCY, METER, Price
from dev.stripe.store import Document

API_VERSION = "2026-10-28.endive"
CATALOGUE_CREATED = 1_767_225_600  # 2026-01-01, when the fake Stripe's prices came on sale
NUMBERS = {"works": "4242", "declines": "0002"}
"""The last digits of Stripe's two best known test cards."""

Card = Literal["works", "declines"]
SELF = {"type": "self"}
NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None}


def nulls(names: str) -> Document:
    """Return null for fields that Stripe always sends and the fake Stripe does not use."""
    return dict.fromkeys(names.split())


def listed(data: Sequence[Document], url: str, *, has_more: bool = False) -> Document:
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}


def product_id(price: Price) -> str:
    return f"prod_{price.plan.lower()}"


def price_json(price: Price) -> Document:
    return {
        "id": price.id,
        "object": "price",
        **nulls("custom_unit_amount lookup_key tiers_mode transform_quantity"),
        "active": True,
        "billing_scheme": "per_unit",
        "created": CATALOGUE_CREATED,
        "currency": CURRENCY,
        "livemode": False,
        "metadata": {},
        "nickname": price.product,
        "product": product_id(price),
        "recurring": {
            "interval": price.interval,
            "interval_count": 1,
            "meter": METER if price.metered else None,
            "trial_period_days": None,
            "usage_type": "metered" if price.metered else "licensed",
        },
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": None if price.metered else price.amount,
        "unit_amount_decimal": price.cents,
    }


def plan_json(price: Price) -> Document:
    """Return the price as a plan, the older form that items still carry."""
    return {
        "id": price.id,
        "object": "plan",
        "active": True,
        "amount": None if price.metered else price.amount,
        "amount_decimal": price.cents,
        "billing_scheme": "per_unit",
        "created": CATALOGUE_CREATED,
        "currency": CURRENCY,
        "interval": price.interval,
        "interval_count": 1,
        "livemode": False,
        "metadata": {},
        "meter": METER if price.metered else None,
        "nickname": price.product,
        "product": product_id(price),
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "metered" if price.metered else "licensed",
    }


def customer_json(
    customer_id: str, now: int, email: str | None, name: str | None, metadata: dict[str, str]
) -> Document:
    return {
        "id": customer_id,
        "object": "customer",
        **nulls("address currency default_source description phone shipping test_clock"),
        "balance": 0,
        "created": now,
        "delinquent": False,
        "email": email,
        "invoice_prefix": customer_id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": metadata,
        "name": name,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def deleted_customer_json(customer_id: str) -> Document:
    return {"id": customer_id, "object": "customer", "deleted": True}


def payment_method_json(method_id: str, now: int, customer: Document, card: Card) -> Document:
    return {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": {
            "address": None,
            "email": customer["email"],
            "name": customer["name"],
            "phone": None,
        },
        "card": {
            "brand": "visa",
            "checks": None,
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2040,
            "fingerprint": None,
            "funding": "credit",
            "generated_from": None,
            "last4": NUMBERS[card],
            "networks": {"available": ["visa"], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": now,
        "customer": customer["id"],
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def item_json(
    item_id: str, now: int, subscription_id: str, price: Price, start: int, end: int
) -> Document:
    item: Document = {
        "id": item_id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "plan": plan_json(price),
        "price": price_json(price),
        "subscription": subscription_id,
        "tax_rates": [],
    }
    return item if price.metered else item | {"quantity": 1}


SUBSCRIPTION: Document = {
    **nulls(
        "application application_fee_percent billing_cycle_anchor_config billing_thresholds "
        "cancel_at canceled_at days_until_due default_payment_method default_source description "
        "ended_at latest_invoice next_pending_invoice_item_invoice on_behalf_of pause_collection "
        "pending_invoice_item_interval pending_setup_intent pending_update schedule test_clock "
        "transfer_data"
    ),
    "object": "subscription",
    "automatic_tax": NO_TAX,
    "billing_mode": {
        "flexible": {"proration_discounts": "included"},
        "type": "flexible",
        "updated_at": None,
    },
    "billing_schedules": [],
    "cancel_at_period_end": False,
    "collection_method": "charge_automatically",
    "currency": CURRENCY,
    "default_tax_rates": [],
    "discounts": [],
    "invoice_settings": {"account_tax_ids": None, "issuer": SELF},
    "livemode": False,
    "payment_settings": nulls("payment_method_options payment_method_types"),
    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
}
"""What is the same in every new subscription."""


def subscription_json(
    subscription_id: str,
    now: int,
    customer_id: str,
    items: Sequence[Document],
    metadata: dict[str, str],
    trial_end: int | None,
) -> Document:
    """Return a new subscription: trialing, or incomplete until its first invoice is paid."""
    return SUBSCRIPTION | {
        "id": subscription_id,
        "billing_cycle_anchor": trial_end or now,
        "cancellation_details": nulls("comment feedback reason"),
        "created": now,
        "customer": customer_id,
        "items": listed(items, f"/v1/subscription_items?subscription={subscription_id}"),
        "metadata": metadata,
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }


def event_json(
    event_id: str,
    now: int,
    kind: str,
    about: Document,
    previous: dict[str, Any] | None,
    receivers: int,
) -> Document:
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": about} | ({} if previous is None else {"previous_attributes": previous}),
        "livemode": False,
        "pending_webhooks": receivers,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def meter_event_json(
    identifier: str, now: int, name: str, payload: dict[str, str], timestamp: int
) -> Document:
    return {
        "object": "billing.meter_event",
        "created": now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": timestamp,
    }
