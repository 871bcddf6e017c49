"""An empty inbox, an empty queue, and a provider that nobody reaches."""

from collections.abc import Iterator

import pytest
from flask import Flask
from rq import Queue
from sqlalchemy import delete

from app.adapters.payments.stripe import StripePayments
from app.adapters.queue import DEFAULT
from app.extensions import transaction
from app.models import StripeEvent
from tests.billing import ACCOUNT, SECRETS, BillingEnv, open_billing_env
from tests.clock import Clock
from tests.webhooks.events import NOWHERE


@pytest.fixture
def queue(app: Flask) -> Queue:
    return Queue(DEFAULT, connection=app.extensions["lightwell"].redis)


@pytest.fixture(autouse=True)
def empty_inbox(app: Flask, queue: Queue) -> Iterator[None]:
    """The database and the queue outlive a test."""

    def empty() -> None:
        queue.empty()
        with app.app_context(), transaction() as session:
            session.change(delete(StripeEvent))

    empty()
    yield
    empty()


@pytest.fixture
def paying(app: Flask, clock: Clock, empty_inbox: None) -> Iterator[BillingEnv]:
    """A provider that cannot be reached: the webhook must not need it."""
    with open_billing_env(
        app, clock, payments=StripePayments(ACCOUNT.stripe_secret_key, SECRETS, NOWHERE)
    ) as billing_env:
        yield billing_env
