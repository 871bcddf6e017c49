"""The inbox of the payment provider's events, as staff read it and have events handled again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import undefer

from app.errors import Conflict, NotFound
from app.models import BillingAccount, StripeEvent
from app.services.billing.inbox import ABOUT_SUBSCRIPTIONS, DISPUTE
from app.services.billing.prices import SETTING
from app.services.staff.cursor import Place
from app.services.staff.prefixes import prefix
from app.tenancy import TenantSession

PAGE = 50
MOST_UNPRICED = 20
IGNORED = "ignored"
TYPES = tuple(sorted({*ABOUT_SUBSCRIPTIONS, DISPUTE}))
"""What something is done on. All others are ignored."""
_WAITS = StripeEvent.handled_at.is_(None)
STATES = {
    "waiting": (_WAITS,),
    "failed": (_WAITS, StripeEvent.attempts > 0),
    "handled": (~_WAITS, StripeEvent.outcome != IGNORED),
    "ignored": (StripeEvent.outcome == IGNORED,),
}
"""State → what holds of its events. One that failed waits for its next attempt."""
PRICES = re.compile(r" pays (.+), which ")


@dataclass(frozen=True)
class Filter:
    """What of the inbox is wanted; empty texts narrow nothing. ``subject`` is how the id of a
    customer or charge begins."""

    subject: str = ""
    type: str = ""
    state: str = ""


@dataclass(frozen=True)
class Unpriced:
    """An event that waits because of the setting of prices. ``price_ids`` are to be named there; if
    there are none, the setting names plans that do not exist."""

    event: StripeEvent
    price_ids: tuple[str, ...]


def newest(
    session: TenantSession, narrow: Filter, before: Place | None
) -> tuple[Sequence[StripeEvent], Place | None]:
    """A page of events, the newest first, and where the next begins."""
    wanted = select(StripeEvent).order_by(StripeEvent.received_at.desc(), StripeEvent.id.desc())
    if narrow.subject:
        wanted = wanted.where(prefix(session, StripeEvent.subject, narrow.subject))
    if narrow.type:
        wanted = wanted.where(StripeEvent.type == narrow.type)
    wanted = wanted.where(*STATES.get(narrow.state, ()))
    if before:
        place = tuple_(StripeEvent.received_at, StripeEvent.id)
        wanted = wanted.where(place < (before.value, before.id))
    found = session.scalars(wanted.limit(PAGE + 1)).all()
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], Place(last.received_at, last.id) if last else None


def unpriced(session: TenantSession) -> list[Unpriced]:
    """The newest events that wait because of the setting of prices."""
    found = session.scalars(
        select(StripeEvent)
        .where(*STATES["failed"], StripeEvent.outcome.contains(SETTING, autoescape=True))
        .order_by(StripeEvent.received_at.desc(), StripeEvent.id.desc())
        .limit(MOST_UNPRICED)
    )
    return [Unpriced(event, _price_ids(event.outcome or "")) for event in found]


def _price_ids(outcome: str) -> tuple[str, ...]:
    found = PRICES.search(outcome)
    return tuple(found[1].split(", ")) if found else ()


def find(session: TenantSession, event_id: str) -> StripeEvent:
    """An event with its payload. Raises NotFound."""
    whole = [undefer(StripeEvent.payload)]
    if event := session.get(StripeEvent, event_id, options=whole):
        return event
    raise NotFound("The inbox has no such event. Handled ones are kept for 90 days.")


def organization_of(session: TenantSession, event: StripeEvent) -> str | None:
    """The id of the organization whose customer the event is about; ``session`` must be
    unscoped."""
    if event.subject is None:
        return None
    owner = select(BillingAccount.org_id).where(BillingAccount.customer_id == event.subject)
    return session.scalar(owner)


def replay(session: TenantSession, event_id: str, now: datetime) -> StripeEvent:
    """Have an event handled now, again if it was handled: that reads the subscription anew, so it
    is harmless. Returns it as it was. Raises NotFound, and Conflict for an event about nobody."""
    event = find(session, event_id)
    session.expunge(event)
    if event.subject is None or event.outcome == IGNORED:
        raise Conflict("We do nothing on events of this kind, so there is nothing to replay.")
    due = update(StripeEvent).where(StripeEvent.id == event_id)
    session.change(due.values(handled_at=None, next_attempt_at=now, outcome=None))
    return event
