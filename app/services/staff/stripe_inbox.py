"""The inbox of the payment provider's events, as staff read it and have events handled again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_, update

from app.errors import Conflict, NotFound
from app.models import BillingAccount, StripeEvent
from app.services.staff.cursor import Place
from app.tenancy import TenantSession

PAGE = 50


def newest(
    session: TenantSession, subject: str, *, waiting: bool, before: Place | None
) -> tuple[Sequence[StripeEvent], Place | None]:
    """A page of events, the newest first, and where the next begins. ``subject`` narrows to a
    customer or charge, ``waiting`` to what is not handled."""
    wanted = select(StripeEvent).order_by(StripeEvent.received_at.desc(), StripeEvent.id.desc())
    if subject:
        wanted = wanted.where(StripeEvent.subject == subject)
    if waiting:
        wanted = wanted.where(StripeEvent.handled_at.is_(None))
    if before:
        place = tuple_(StripeEvent.received_at, StripeEvent.id)
        wanted = wanted.where(place < (before.value, before.id))
    found = session.scalars(wanted.limit(PAGE + 1)).all()
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], Place(last.received_at, last.id) if last else None


def find(session: TenantSession, event_id: str) -> StripeEvent:
    """Raises NotFound."""
    if event := session.get(StripeEvent, event_id):
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
    if event.subject is None or event.outcome == "ignored":
        raise Conflict("We do nothing on events of this kind, so there is nothing to replay.")
    due = update(StripeEvent).where(StripeEvent.id == event_id)
    session.change(due.values(handled_at=None, next_attempt_at=now, outcome=None))
    return event
