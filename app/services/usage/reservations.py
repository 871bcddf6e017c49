"""Counting images: reserve before the work, settle after it.

Live images are counted by the month, against the plan; images of an organization's test keys by the
day, only to limit them. One conditional UPDATE raises the counter, so that parallel requests never
exceed the limit on any database; the spend caps (``caps``) are held in the same way. Every
reservation is a ledger entry with a lease. After a crash it is released once the lease has ended,
by the sweep or by the next request that would otherwise be refused.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, select, update

from app.errors import DependencyDown, QuotaExceeded
from app.models import (
    Actor,
    ActorKind,
    Counter,
    DailyCounter,
    DailyEntry,
    EntryState,
    LedgerEntry,
    MeterEvent,
    Mode,
    UsageCounter,
    UsageEntry,
    new_id,
)
from app.services import metrics
from app.services.accounts.principal import Principal
from app.services.usage import caps, days, limits
from app.services.usage.limits import Refusal
from app.services.usage.periods import day_of, period_of
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(minutes=5)


class Ledger(NamedTuple):
    """The tables that record the images of one mode."""

    entry: type[LedgerEntry]
    counter: type[Counter]


LEDGERS = {Mode.LIVE: Ledger(UsageEntry, UsageCounter), Mode.TEST: Ledger(DailyEntry, DailyCounter)}


@dataclass(frozen=True)
class Reservation:
    """Images set aside for one piece of work.

    ``mode`` is the principal's, ``kind`` that of the work. ``period`` is the first day of the
    month, or the day for test keys. A ``metered`` reservation is reported to the payment provider
    once it is settled.
    """

    entry_id: str
    mode: Mode
    period: date
    images: int
    kind: str
    already_paid: bool = False
    metered: bool = False

    @property
    def ledger(self) -> Ledger:
        return LEDGERS[self.mode]


def reserve(
    session: TenantSession,
    principal: Principal,
    kind: str,
    images: int,
    now: datetime,
    reference: str | None = None,
    otherwise: Refusal = QuotaExceeded,
) -> Reservation:
    """Set ``images`` aside before the work begins.

    Raises ``otherwise``, which depends on the caller's API, CapReached if a spend cap is reached
    first, or RateLimited if the test keys' daily images are used up.

    ``reference`` is the id of a request that may be repeated after a crash; it pays only once.
    """
    period = period_of(now) if principal.is_live else day_of(now)
    if reference is not None and (paid := _earlier_attempt(session, principal.mode, reference)):
        return paid
    ledger = LEDGERS[principal.mode]
    insert_if_absent(session, ledger.counter, period=period, used=0, reserved=0)
    if not _set_aside(session, principal, period, images):
        release_expired(session, now)
        if not _set_aside(session, principal, period, images):
            raise limits.refusal(session, principal, images, now, otherwise)
    entry = ledger.entry(
        id=new_id("use", now),
        actor=principal.actor,
        kind=kind,
        period=period,
        state=EntryState.RESERVED,
        images=images,
        reference=reference,
        lease_until=now + LEASE,
        created_at=now,
    )
    session.add(entry)
    session.flush()
    metered = principal.is_live and principal.allowance.metered
    return Reservation(entry.id, principal.mode, period, images, kind, metered=metered)


def _earlier_attempt(session: TenantSession, mode: Mode, reference: str) -> Reservation | None:
    """The settled reservation of an earlier attempt at the same request. An attempt that never
    ended is released, and None is returned."""
    model = LEDGERS[mode].entry
    entry = session.scalar(select(model).where(model.reference == reference).with_for_update())
    if entry is None:
        return None
    reservation = Reservation(entry.id, mode, entry.period, entry.images, entry.kind)
    if entry.state == EntryState.SETTLED:
        return replace(reservation, already_paid=True)
    _close(session, reservation, EntryState.RELEASED, 0)
    entry.reference = None
    session.flush()
    return None


def _set_aside(session: TenantSession, principal: Principal, period: date, images: int) -> bool:
    """Raise the counters. Returns False, and leaves them as they were, if the limit or a cap has no
    room."""
    allowance = principal.allowance
    counter = LEDGERS[principal.mode].counter
    limit = allowance.monthly_images if principal.is_live else allowance.test_images
    total = counter.used + counter.reserved + images
    statement = update(counter).where(counter.period == period)
    if limit is not None:
        statement = statement.where(total <= limit)
    if principal.is_live:
        statement = statement.where(caps.allowed_by_organization(principal.org_id, total))
    if not session.change(statement.values(reserved=counter.reserved + images)):
        return False
    if not principal.is_live or caps.reserve(session, principal.actor, period, images):
        return True
    session.change(
        update(counter).where(counter.period == period).values(reserved=counter.reserved - images)
    )
    return False


def extend(session: TenantSession, reservation: Reservation, now: datetime) -> None:
    """Renew the lease of a reservation during long work."""
    entry = reservation.ledger.entry
    session.change(
        update(entry)
        .where(entry.id == reservation.entry_id, entry.state == EntryState.RESERVED)
        .values(lease_until=now + LEASE)
    )


def settle(session: TenantSession, reservation: Reservation, images: int) -> None:
    """Count the ``images`` that were processed and release the rest of the reservation.

    Raises DependencyDown if the reservation was released meanwhile because the work outlasted its
    lease. Then the result must not be returned, because it can't be charged.
    """
    if reservation.already_paid:
        return
    if images > reservation.images:
        raise ValueError("more images settled than reserved")
    if not _close(session, reservation, EntryState.SETTLED, images):
        raise DependencyDown(
            "The work took too long and was given up. Nothing was charged; send it again."
        )
    if reservation.metered and images:
        session.add(MeterEvent(entry_id=reservation.entry_id, images=images))
    # Before the commit: one that fails is counted all the same, which a chart can bear.
    metrics.count_images(reservation.kind, reservation.mode, images)


def release(session: TenantSession, reservation: Reservation) -> None:
    """Release a whole reservation, because the work failed."""
    if not reservation.already_paid:
        _close(session, reservation, EntryState.RELEASED, 0)


def _close(
    session: TenantSession, reservation: Reservation, state: EntryState, images: int
) -> bool:
    """End a reservation. Returns False if it was ended before."""
    entry, counter = reservation.ledger
    ended = session.execute(
        update(entry)
        .where(entry.id == reservation.entry_id, entry.state == EntryState.RESERVED)
        .values(state=state, images=images)
        .returning(entry.kind, entry.actor_kind, entry.actor_id, entry.created_at)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if ended is None:
        return False
    session.change(
        update(counter)
        .where(counter.period == reservation.period)
        .values(reserved=counter.reserved - reservation.images, used=counter.used + images)
    )
    actor = Actor(ActorKind(ended.actor_kind), ended.actor_id)
    if reservation.mode is Mode.LIVE:
        caps.close(session, actor, reservation.period, reservation.images, images)
    if images:
        # By the day of the reservation, so that the days of a month add up to its counter.
        day = day_of(ended.created_at)
        days.add(session, day, reservation.mode, ended.kind, actor, images)
    return True


def release_expired(session: TenantSession, now: datetime) -> int:
    """Release the expired reservations of crashed requests of the session's organization. Returns
    how many.

    Those that are ended at this moment are left alone: whoever ends one waits for the counter,
    which the caller may hold.
    """
    expired = [
        Reservation(entry.id, mode, entry.period, entry.images, entry.kind)
        for mode, ledger in LEDGERS.items()
        for entry in session.scalars(
            select(ledger.entry).where(_expired(ledger, now)).with_for_update(skip_locked=True)
        ).all()
    ]
    return sum(_close(session, reservation, EntryState.RELEASED, 0) for reservation in expired)


def organizations_with_expired(session: TenantSession, now: datetime) -> set[tuple[str]]:
    """The organizations with expired reservations, as (org,); ``session`` must be unscoped."""
    return {
        (org_id,)
        for ledger in LEDGERS.values()
        for org_id in session.scalars(
            select(ledger.entry.org_id).where(_expired(ledger, now)).distinct()
        )
    }


def _expired(ledger: Ledger, now: datetime) -> ColumnElement[bool]:
    return and_(ledger.entry.state == EntryState.RESERVED, ledger.entry.lease_until <= now)
