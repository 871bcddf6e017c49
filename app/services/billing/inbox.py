"""The inbox of the payment provider's events: a webhook stores them, a job handles them, and a
sweep finds those that were not handled."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Select, delete, select, update

from app.adapters.payments.interface import CustomerGone, Event
from app.adapters.queue import enqueue_billing
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import Actor, ActorKind, StripeEvent
from app.services.billing import review_flags, subscriptions
from app.services.billing.prices import UnknownPrice
from app.services.billing.provider import Provider
from app.tenancy import TenantSession, insert_if_absent

log = structlog.get_logger()

ACTOR = Actor(ActorKind.SYSTEM, "stripe")
ABOUT_SUBSCRIPTIONS = frozenset(
    {
        "checkout.session.completed",
        "customer.deleted",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.updated",
        "invoice.paid",
        "invoice.payment_failed",
    }
)
DISPUTE = "charge.dispute.created"
LEASE = timedelta(seconds=60)
"""How long a job may work on a subject before another job may take it."""
FIRST_PAUSE = timedelta(seconds=15)
MAX_PAUSE = timedelta(hours=1)
RETENTION = timedelta(days=90)
"""How long a handled event is kept, to recognise repeated deliveries. A delivery that was signed
more than five minutes ago is refused anyway."""
OUTCOME_CHARACTERS = 500


def receive(session: TenantSession, event: Event, now: datetime) -> bool:
    """Put an event into the inbox, once. Returns True if it is new and must be handled."""
    concerns_us = event.subject is not None and (
        event.type in ABOUT_SUBSCRIPTIONS or event.type == DISPUTE
    )
    is_new = insert_if_absent(
        session,
        StripeEvent,
        id=event.id,
        type=event.type,
        subject=event.subject,
        created_at=event.created_at,
        received_at=now,
        attempts=0,
        payload=event.payload,
        **({"next_attempt_at": now} if concerns_us else {"handled_at": now, "outcome": "ignored"}),
    )
    return is_new and concerns_us


def enqueue(connection: Redis) -> None:
    """Enqueue a job for the due events. If the queue does not answer, the worker finds the events a
    little later."""
    try:
        enqueue_billing(connection)
    except RedisError as error:
        log.warning("billing.not_enqueued", error=str(error))


def has_due(session: TenantSession, now: datetime) -> bool:
    return session.scalar(select(_due(now).exists())) or False


def work(provider: Provider) -> None:
    """Handle due events, one subject after the other, until none is due or the provider does not
    answer."""
    while subject := _lease_next_subject(provider.clock()):
        if not handle(provider, subject):
            return


def _due(now: datetime) -> Select[str | None]:
    return select(StripeEvent.subject).where(StripeEvent.next_attempt_at <= now)


def _lease_next_subject(now: datetime) -> str | None:
    """Lease a subject with due events, so that other jobs leave it alone. None if there is none."""
    while True:
        with transaction() as session:
            subject = session.scalar(_due(now).order_by(StripeEvent.next_attempt_at).limit(1))
            taken = update(StripeEvent).where(
                StripeEvent.subject == subject, StripeEvent.next_attempt_at <= now
            )
            if subject is None or session.change(taken.values(next_attempt_at=now + LEASE)):
                return subject


def handle(provider: Provider, subject: str) -> bool:
    """Handle all unhandled events about ``subject`` together. There may be none.

    Returns False if the provider does not answer.
    """
    with transaction() as session:
        waiting = select(StripeEvent).where(
            StripeEvent.subject == subject, StripeEvent.handled_at.is_(None)
        )
        events = session.scalars(waiting.order_by(StripeEvent.created_at, StripeEvent.id)).all()
    if not events:
        return True
    act = _flag if all(event.type == DISPUTE for event in events) else _synchronise
    try:
        known = act(provider, subject, events)
    except UnknownPrice as error:
        log.error("billing.unknown_price", customer=subject, error=str(error))
        _postpone(events, provider.clock(), str(error))
    except DependencyDown as error:
        log.warning("billing.postponed", subject=subject, error=str(error))
        _postpone(events, provider.clock(), error.message)
        return False
    except Exception as error:  # one that goes wrong must not keep the others waiting
        log.exception("billing.defect", subject=subject)
        _postpone(events, provider.clock(), repr(error))
    else:
        if not known:
            with transaction() as session:
                _mark_handled(session, events, "not a customer of ours", provider.clock())
                forget(session, subject)
    return True


def _synchronise(provider: Provider, customer_id: str, events: Sequence[StripeEvent]) -> bool:
    """Apply a customer's current subscriptions. Returns False if it is no customer of ours."""
    for snapshot in subscriptions.snapshots(provider, customer_id):
        with transaction(snapshot.account.org_id) as session:
            if outcome := subscriptions.apply(session, snapshot, provider, ACTOR, events[-1].id):
                _mark_handled(session, events, outcome, provider.clock())
                return True
    return False


def _flag(provider: Provider, charge_id: str, events: Sequence[StripeEvent]) -> bool:
    """Flag the organization whose charge is disputed. Returns False if it is no customer of
    ours."""
    try:
        customer_id = provider.payments.customer_of_charge(charge_id)
    except CustomerGone:
        return False
    account = subscriptions.find_account(customer_id) if customer_id else None
    if account is None:
        return False
    with transaction(account.org_id) as session:
        reason, now = review_flags.DISPUTE.format(charge_id), provider.clock()
        review_flags.set_flag(session, reason, ACTOR, now, events[-1].id)
        _mark_handled(session, events, "flagged", now)
    log.error("billing.dispute", org_id=account.org_id, charge=charge_id)
    return True


def forget(session: TenantSession, subject: str) -> None:
    """Erase what the events about ``subject`` said, which is no customer of ours, or not any
    more."""
    session.change(update(StripeEvent).where(StripeEvent.subject == subject).values(payload=None))


def _mark_handled(
    session: TenantSession, events: Sequence[StripeEvent], outcome: str, now: datetime
) -> None:
    """Mark events as handled, with the outcome."""
    done = update(StripeEvent).where(StripeEvent.id.in_([event.id for event in events]))
    session.change(done.values(handled_at=now, next_attempt_at=None, outcome=outcome))


def _postpone(events: Sequence[StripeEvent], now: datetime, reason: str) -> None:
    """Schedule another attempt, after a longer pause each time."""
    attempts = max(event.attempts for event in events) + 1
    pause = min(FIRST_PAUSE * 2 ** min(attempts, 10), MAX_PAUSE)
    later = {
        "attempts": attempts,
        "next_attempt_at": now + pause,
        "outcome": reason[:OUTCOME_CHARACTERS],
    }
    with transaction() as session:
        waiting = update(StripeEvent).where(
            StripeEvent.id.in_([event.id for event in events]), StripeEvent.handled_at.is_(None)
        )
        session.change(waiting.values(**later))


def unhandled(session: TenantSession) -> Sequence[StripeEvent]:
    """The events that are not handled, the oldest first."""
    return session.scalars(
        select(StripeEvent)
        .where(StripeEvent.handled_at.is_(None))
        .order_by(StripeEvent.received_at)
    ).all()


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete events that were handled longer than ``RETENTION`` ago. Returns how many."""
    return session.change(delete(StripeEvent).where(StripeEvent.handled_at <= now - RETENTION))
