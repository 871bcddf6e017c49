"""What befalls the inbox in tests: a time that jumps, a death at any moment, a provider that
fails."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from sqlalchemy import delete, event, update

from app.adapters.payments.interface import Event, Payments, Subscription
from app.adapters.payments.stripe import StripePayments
from app.extensions import db, transaction
from app.models import BillingAccount, Organization, StripeEvent
from app.services.billing import inbox
from app.tenancy import unscoped
from tests.billing import SECRETS, BillingEnv

Document = dict[str, Any]
LEASE = timedelta(seconds=60)
MOMENTS = 24
"""About as many as there are for one customer in the inbox's work."""


class Killed(BaseException):
    """Nothing catches it."""


@dataclass
class Calendar:
    """A time that stands still until somebody turns it."""

    now: datetime = datetime(2026, 1, 30, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@contextmanager
def killed_at(moment: int) -> Iterator[None]:
    """Die before the database is told something, be it a COMMIT; ``moment`` is how often it is told
    before that."""
    left = moment

    def live(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    calls = [(db.engine, "before_cursor_execute", live), (db.engine, "commit", live)]
    for call in calls:
        event.listen(*call)
    try:
        with suppress(Killed):
            yield
    finally:
        for call in calls:
            event.remove(*call)


def forget_everybody() -> None:
    """No customers and no events, as if nobody had ever been a customer."""
    with transaction() as session, unscoped(session, "a new life"):
        for table in (BillingAccount, StripeEvent):
            session.change(delete(table))
        overdue = update(Organization).where(Organization.plan_lapses_at.is_not(None))
        session.change(overdue.values(plan_lapses_at=None))


def unhandled() -> list[StripeEvent]:
    with transaction() as session:
        return list(inbox.unhandled(session))


def parsed(billing_env: BillingEnv, news: Document) -> Event:
    """What the webhook makes of it."""
    body = json.dumps(news)
    signature = stripe.WebhookSignature.generate_signature_header(body, SECRETS[0])
    return billing_env.provider.payments.event(body.encode(), signature)


def receive(billing_env: BillingEnv, *news: Document) -> None:
    """What the webhook does before it tells the queue."""
    received = [parsed(billing_env, one) for one in news]
    with transaction() as session:
        for one in received:
            inbox.receive(session, one, billing_env.provider.clock())


def told(record: logging.LogRecord) -> Mapping[str, Any]:
    """structlog's event, which Python's logging takes for a message."""
    event: object = record.msg
    assert isinstance(event, dict)
    return event


def alarms(caplog: pytest.LogCaptureFixture) -> list[Mapping[str, Any]]:
    """What was logged as an error."""
    return [told(record) for record in caplog.records if record.levelno == logging.ERROR]


@dataclass
class Broken(StripePayments):
    """Payments that fail for some customers, and who they were asked for."""

    payments: Payments
    failures: Mapping[str, Exception]
    asked: list[str] = field(default_factory=list)

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        self.asked.append(customer_id)
        if failure := self.failures.get(customer_id):
            raise failure
        return self.payments.subscriptions_of(customer_id)
