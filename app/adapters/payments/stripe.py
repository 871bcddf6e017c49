"""Payments by Stripe, or by the fake Stripe, which speaks the same."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import stripe
from stripe import HTTPClient, RequestsClient, StripeClient
from stripe.params.billing_portal import (
    SessionCreateParamsFlowDataSubscriptionUpdateConfirmItem as UpdatedItem,
)

from app.adapters.payments import stripe_events
from app.adapters.payments.interface import (
    CustomerGone,
    Event,
    InvalidSignature,
    Invoice,
    Price,
    PriceLine,
    Subscription,
    SubscriptionItem,
)
from app.adapters.payments.stripe_failures import (
    allowed_by_the_portal,
    answering,
    cancelling_once,
    counting_once,
)
from app.errors import DependencyDown

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
RETRIES = 1
"""For what Stripe says is locked by another call just now, and for a connection that broke."""
PAGE = 100
TOLERANCE_SECONDS = 300
WITHOUT_CENTS = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
})  # fmt: skip
"""Currencies whose amounts Stripe writes in whole units: docs.stripe.com/currencies."""


class StripePayments:
    """``POST /v1/customers`` and so on, as https://docs.stripe.com/api describes them.

    ``webhook_secrets`` are all that are valid now: two, while one is replaced by another.
    """

    def __init__(
        self,
        secret_key: str,
        webhook_secrets: Sequence[str],
        api_base: str,
        http_client: HTTPClient | None = None,
    ) -> None:
        self._secrets = tuple(webhook_secrets)
        self._live = "_live_" in secret_key
        self._stripe = StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            http_client=http_client or RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
            max_network_retries=RETRIES,
        ).v1

    def create_customer(self, org_id: str, number: int, name: str, email: str) -> str:
        identity = sha256(f"{name}\0{email}".encode()).hexdigest()[:16]
        with answering():
            customer = self._stripe.customers.create(
                {"name": name, "email": email, "metadata": {"org_id": org_id}},
                {"idempotency_key": f"customer-{org_id}-{number}-{identity}"},
            )
            return customer.id

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        with answering():
            customer = self._stripe.customers.retrieve(customer_id)
            if getattr(customer, "deleted", False):
                raise CustomerGone(customer_id)
            found = self._stripe.subscriptions.list({"customer": customer_id, "limit": PAGE})
            return [_subscription(one) for one in found.auto_paging_iter()]

    def subscriptions(self) -> Iterator[Subscription]:
        with answering():
            for one in self._stripe.subscriptions.list({"limit": PAGE}).auto_paging_iter():
                yield _subscription(one)

    def checkout(
        self,
        org_id: str,
        customer_id: str,
        lines: Sequence[PriceLine],
        success_url: str,
        cancel_url: str,
    ) -> str:
        with answering():
            for earlier in self._stripe.checkout.sessions.list(
                {"customer": customer_id, "status": "open"}
            ).data:
                self._close(earlier.id)
            session = self._stripe.checkout.sessions.create(
                {
                    "mode": "subscription",
                    "customer": customer_id,
                    "client_reference_id": org_id,
                    "line_items": [
                        {"price": line.price_id}
                        if line.metered
                        else {"price": line.price_id, "quantity": 1}
                        for line in lines
                    ],
                    "subscription_data": {"metadata": {"org_id": org_id}},
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                }
            )
            if session.url is None:
                raise DependencyDown(
                    "The payment provider opened no page. Repeat the request shortly."
                )
            return session.url

    def _close(self, session_id: str) -> None:
        """Expire a checkout. Another call may just have done so. Raises where it was just paid."""
        try:
            self._stripe.checkout.sessions.expire(session_id)
        except stripe.InvalidRequestError:
            if self._stripe.checkout.sessions.retrieve(session_id).status != "expired":
                raise

    def change(
        self,
        subscription: Subscription,
        lines: Sequence[PriceLine],
        done_url: str,
        cancel_url: str,
    ) -> str:
        (item,), (line,) = subscription.items, lines
        asked: UpdatedItem = {"id": item.id, "price": line.price_id}
        if not line.metered:
            asked["quantity"] = 1
        with answering(), allowed_by_the_portal():
            session = self._stripe.billing_portal.sessions.create(
                {
                    "customer": subscription.customer_id,
                    "return_url": cancel_url,
                    "flow_data": {
                        "type": "subscription_update_confirm",
                        "subscription_update_confirm": {
                            "subscription": subscription.id,
                            "items": [asked],
                        },
                        "after_completion": {
                            "type": "redirect",
                            "redirect": {"return_url": done_url},
                        },
                    },
                }
            )
            return session.url

    def portal(self, customer_id: str, return_url: str) -> str:
        with answering():
            return self._stripe.billing_portal.sessions.create(
                {"customer": customer_id, "return_url": return_url}
            ).url

    def price(self, price_id: str) -> Price:
        with answering():
            found = self._stripe.prices.retrieve(price_id)
            cents = found.unit_amount
            return Price(None if cents is None else _cents(cents, found.currency), found.currency)

    def invoices(self, customer_id: str, limit: int = 24) -> Sequence[Invoice]:
        with answering():
            found = self._stripe.invoices.list({"customer": customer_id, "limit": limit}).data
            return [_invoice(one) for one in found if one.status != "draft"]

    def cancel(self, subscription_id: str) -> None:
        with answering(), cancelling_once():
            self._stripe.subscriptions.cancel(subscription_id)

    def customer_of_charge(self, charge_id: str) -> str | None:
        with answering():
            return _id(self._stripe.charges.retrieve(charge_id).customer)

    def meter(
        self, event_name: str, entry_id: str, customer_id: str, images: int, at: datetime
    ) -> None:
        with answering(), counting_once():
            self._stripe.billing.meter_events.create(
                {
                    "event_name": event_name,
                    "identifier": entry_id,
                    "payload": {"stripe_customer_id": customer_id, "value": str(images)},
                    "timestamp": int(at.timestamp()),
                }
            )

    def event(self, payload: bytes, signature: str) -> Event:
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE_SECONDS)
            except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
                continue  # the library compares signatures that are not ASCII with a TypeError
            return stripe_events.read(payload, live=self._live)
        raise InvalidSignature("no secret of this endpoint signed it within the last five minutes")


def _subscription(given: stripe.Subscription) -> Subscription:
    items = [
        SubscriptionItem(item.id, item.price.id, _moment(item.current_period_end))
        for item in given.items.data
    ]
    end = (
        max((item.period_end for item in items), default=None)
        if given.cancel_at_period_end
        else None
    )
    return Subscription(
        id=given.id,
        customer_id=_id(given.customer) or "",
        status=given.status,
        items=items,
        created_at=_moment(given.created),
        cancel_at=_moment(given.cancel_at) if given.cancel_at else end,
    )


def _invoice(given: stripe.Invoice) -> Invoice:
    return Invoice(
        id=given.id,
        number=given.number or given.id,
        issued_at=_moment(given.created),
        cents=_cents(given.total, given.currency),
        currency=given.currency,
        status=given.status or "open",
        url=given.hosted_invoice_url,
        pdf_url=given.invoice_pdf,
    )


def _cents(amount: int, currency: str) -> int:
    """Hundredths of a currency, from Stripe's amount."""
    return amount * 100 if currency in WITHOUT_CENTS else amount


def _id(thing: Any) -> str | None:
    """The id of what is given by its id, or whole."""
    return thing if isinstance(thing, str) or thing is None else str(thing.id)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
