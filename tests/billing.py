"""Lightwell with the fake Stripe in the same process: what a customer does there arrives here as
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

from app.adapters.payments.stripe import StripePayments
from app.config import Settings
from app.extensions import transaction
from app.models import AuditEntry, BillingAccount, Mail, Organization
from app.services.accounts import keys
from app.services.billing import inbox
from app.services.billing.prices import Prices
from app.services.billing.provider import Provider
from dev.environment import fake_stripe_account
from dev.stripe.factory import create_fake_stripe
from dev.stripe.state import FakeStripe
from tests.client import Answer, client_of
from tests.dev.stripe.wire import InProcess

if TYPE_CHECKING:
    from tests.conftest import Account


ACCOUNT = Settings.from_env(
    {"APP_ENV": "development", "SECRET_KEY": "k" * 32, **fake_stripe_account("k" * 32, 1)}
)
"""The settings of the fake Stripe, as ``./run serve`` would have them."""
SECRETS = ("whsec_new_one", "whsec_old_one")
METERED = "price_images_metered"
SITE = "https://lightwell.example"
"""Where links in mails lead."""


@dataclass
class BillingEnv:
    """An application, the fake Stripe, and the wire between them."""

    app: Flask
    stripe: FakeStripe
    provider: Provider
    heard: int = 0

    @property
    def new_events(self) -> list[dict[str, Any]]:
        """The events since the last time."""
        events = self.stripe.journal.events()
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
        """Deliver the new events and handle them."""
        self.deliver(self.new_events)
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

    def letters(self, account: "Account") -> list[Mail]:
        """The mails to the account's first owner, without that of the registration."""
        with self.app.app_context(), transaction() as session:
            found = select(Mail).where(
                Mail.recipient == account.email, ~Mail.subject.startswith("Confirm")
            )
            return list(session.scalars(found.order_by(Mail.id)))

    def plan(self, account: "Account") -> str:
        """The plan that a request with the account's key is on now; asking counts against no rate
        limit."""
        with self.app.app_context():
            return keys.authenticate(account.key, self.provider.clock()).allowance.plan


@contextmanager
def open_billing_env(
    app: Flask, clock: Callable[[], datetime], **changes: Any
) -> Iterator[BillingEnv]:
    """Give an application a provider for the length of the block: an empty fake Stripe.
    ``changes`` are of the Provider."""
    fake_stripe = create_fake_stripe(ACCOUNT.stripe_secret_key, SECRETS[0], None, None, clock)
    payments = StripePayments(
        ACCOUNT.stripe_secret_key,
        SECRETS,
        ACCOUNT.stripe_api_base,
        http_client=InProcess(fake_stripe),
    )
    prices = Prices(ACCOUNT.stripe_prices, ())
    provider = Provider(payments, prices, timedelta(days=7), "", SITE, clock)
    provider = replace(provider, **changes)
    container = app.extensions["lightwell"]
    app.extensions["lightwell"] = replace(container, provider=provider)
    try:
        yield BillingEnv(app, fake_stripe.extensions["state"], provider)
    finally:
        app.extensions["lightwell"] = container
