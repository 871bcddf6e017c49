"""Lightwell with the test cashier in the same process: what a customer does there arrives here as
signed events."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import stripe
from flask import Flask
from sqlalchemy import select

from app.adapters.stripe_payments import StripePayments
from app.cashier.books import Books
from app.cashier.factory import create_cashier
from app.config import Settings
from app.embedded import cashier_account
from app.extensions import transaction
from app.models import AuditEntry, BillingAccount, Organization
from app.services import inbox, keys
from app.services.prices import Prices
from app.services.provider import Provider
from tests.cashier.wire import InProcess
from tests.client import Answer, client_of

if TYPE_CHECKING:
    from tests.conftest import Account


ACCOUNT = Settings.model_validate(
    {"app_env": "development", "secret_key": "k" * 32, **cashier_account("k" * 32, 1)}
)
"""The settings of the cashier, as ``./run serve`` would have them."""
SECRETS = ("whsec_new_one", "whsec_old_one")
METERED = "price_images_metered"


@dataclass
class Till:
    """An application, the cashier's ``books``, and the wire between them."""

    app: Flask
    books: Books
    provider: Provider
    heard: int = 0

    @property
    def news(self) -> list[dict[str, Any]]:
        """The events since the last time."""
        events = self.books.events()
        new, self.heard = events[self.heard :], len(events)
        return new

    def deliver(self, events: Iterable[dict[str, Any]], secret: str = SECRETS[0]) -> list[Answer]:
        """Send events to the webhook, in this order."""
        return [self.post(json.dumps(event), secret) for event in events]

    def post(self, body: str, secret: str = SECRETS[0], at: int | None = None) -> Answer:
        signature = stripe.WebhookSignature.generate_signature_header(body, secret, at)
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        return client_of(self.app).post("/webhooks/stripe", data=body, headers=headers)

    def work(self) -> None:
        """What the worker does with the inbox."""
        with self.app.app_context():
            inbox.work(self.provider)

    def catch_up(self) -> None:
        """Deliver all news and handle them."""
        self.deliver(self.news)
        self.work()

    def customer(self, account: "Account") -> str:
        """The account's customer, as a first checkout makes it."""
        url = client_of(self.app).post(
            "/billing/checkout",
            headers={"x-api-key": account.key},
            json={"plan": "TEAM", "interval": "month"},
        )
        assert url.status_code == 200, url.json
        billing = self.billing(account)
        assert billing.customer_id
        return billing.customer_id

    def billing(self, account: "Account") -> BillingAccount:
        with self.app.app_context(), transaction(account.org_id) as session:
            return session.scalars(select(BillingAccount)).one()

    def organization(self, account: "Account") -> Organization:
        with self.app.app_context(), transaction(account.org_id) as session:
            return session.get_one(Organization, account.org_id)

    def audit(self, account: "Account") -> list[AuditEntry]:
        with self.app.app_context(), transaction(account.org_id) as session:
            return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))

    def plan(self, account: "Account") -> str:
        """The plan that a request with the account's key is on now; asking counts against no rate
        limit."""
        with self.app.app_context():
            return keys.authenticate(account.key, self.provider.clock()).allowance.plan


@contextmanager
def open_till(app: Flask, clock: Callable[[], datetime], **changes: Any) -> Iterator[Till]:
    """Give an application a provider for the length of the block: an empty cashier. ``changes`` are
    of the Provider."""
    cashier = create_cashier(ACCOUNT.stripe_secret_key, SECRETS[0], None, None, clock)
    payments = StripePayments(
        ACCOUNT.stripe_secret_key, SECRETS, ACCOUNT.stripe_api_base, http_client=InProcess(cashier)
    )
    provider = Provider(payments, Prices(ACCOUNT.stripe_prices, ()), timedelta(days=7), "", clock)
    provider = replace(provider, **changes)
    tools = app.extensions["lightwell"]
    app.extensions["lightwell"] = replace(tools, provider=provider)
    try:
        yield Till(app, cashier.extensions["books"], provider)
    finally:
        app.extensions["lightwell"] = tools
