"""Counting images: reserve before the work, settle after it.

Live images are counted by the month, against the plan; images of an organization's test keys by the
day, only to limit them. One conditional UPDATE raises the counter, so that parallel requests never
exceed the limit on any database. Every reservation is a ledger entry with a lease. After a crash it
is released once the lease has ended, by the sweep or by the next request that would otherwise be
refused.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, select, update

from app.errors import AppError, DependencyDown, MonthlyLimitReached, QuotaExceeded, RateLimited
from app.models import (
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
from app.services.accounts.principal import Principal
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

    ``mode`` is the principal's. ``period`` is the first day of the month, or the day for test keys.
    A ``metered`` reservation is reported to the payment provider once it is settled.
    """

    entry_id: str
    mode: Mode
    period: date
    images: int
    already_paid: bool = False
    metered: bool = False

    @property
    def ledger(self) -> Ledger:
        return LEDGERS[self.mode]


@dataclass(frozen=True)
class Summary:
    """An organization's usage in a month. ``limit`` and ``remaining`` are None without a limit."""

    plan: str
    used: int
    limit: int | None
    remaining: int | None
    reset_date: date


def period_of(now: datetime) -> date:
    """The calendar month (UTC) of a moment, as its first day."""
    return day_of(now).replace(day=1)


def day_of(now: datetime) -> date:
    return now.astimezone(UTC).date()


def next_period(period: date) -> date:
    return (period + timedelta(days=32)).replace(day=1)


def reserve(
    session: TenantSession,
    principal: Principal,
    kind: str,
    images: int,
    now: datetime,
    reference: str | None = None,
    refusal: type[MonthlyLimitReached | QuotaExceeded] = QuotaExceeded,
) -> Reservation:
    """Set ``images`` aside before the work begins.

    Raises ``refusal``, which depends on the caller's API, or RateLimited if the test keys' daily
    images are used up.

    ``reference`` is the id of a request that may be repeated after a crash; it pays only once.
    """
    period = period_of(now) if principal.is_live else day_of(now)
    if reference is not None and (paid := _earlier_attempt(session, principal.mode, reference)):
        return paid
    ledger = LEDGERS[principal.mode]
    insert_if_absent(session, ledger.counter, period=period, used=0, reserved=0)
    if not _raise_reserved(session, principal, period, images):
        release_expired(session, now)
        if not _raise_reserved(session, principal, period, images):
            raise _refusal(session, principal, images, now, refusal)
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
    return Reservation(entry.id, principal.mode, period, images, metered=metered)


def check(session: TenantSession, principal: Principal, images: int, now: datetime) -> None:
    """Refuse work that exceeds the limit before it begins, without reserving anything.

    Raises QuotaExceeded, or RateLimited for a test key.
    """
    left = (
        summarise(session, principal, now).remaining
        if principal.is_live
        else _left_today(session, principal, now)
    )
    if left is not None and images > left:
        raise _refusal(session, principal, images, now, QuotaExceeded)


def _refusal(
    session: TenantSession,
    principal: Principal,
    images: int,
    now: datetime,
    monthly: type[MonthlyLimitReached | QuotaExceeded],
) -> AppError:
    """The error for a principal with fewer than ``images`` left."""
    if principal.is_live:
        summary = summarise(session, principal, now)
        return monthly(
            f"This request needs {images} images, and {summary.remaining} of {summary.limit} are "
            f"left on the {summary.plan} plan until {summary.reset_date}. Upgrade the plan or wait "
            f"for the reset date.{principal.allowance.arrears}"
        )
    midnight = datetime.combine(day_of(now) + timedelta(days=1), time(), UTC)
    left = f"{_left_today(session, principal, now)} of {principal.allowance.test_images}"
    return RateLimited(
        f"This request needs {images} images, and {left} are left for this organization's test "
        f"keys until {midnight:%Y-%m-%dT%H:%M:%SZ}. Send fewer, wait until then, or use a live "
        "key.",
        headers={"Retry-After": str(math.ceil((midnight - now).total_seconds()))},
    )


def _left_today(session: TenantSession, principal: Principal, now: datetime) -> int:
    """How many images the organization's test keys may still make today. Reserved images count as
    used."""
    today = select(DailyCounter.used + DailyCounter.reserved).where(
        DailyCounter.period == day_of(now)
    )
    return max(0, principal.allowance.test_images - (session.scalar(today) or 0))


def _earlier_attempt(session: TenantSession, mode: Mode, reference: str) -> Reservation | None:
    """The settled reservation of an earlier attempt at the same request. An attempt that never
    ended is released, and None is returned."""
    model = LEDGERS[mode].entry
    entry = session.scalar(select(model).where(model.reference == reference).with_for_update())
    if entry is None:
        return None
    reservation = Reservation(entry.id, mode, entry.period, entry.images)
    if entry.state == EntryState.SETTLED:
        return replace(reservation, already_paid=True)
    _close(session, reservation, EntryState.RELEASED, 0)
    entry.reference = None
    session.flush()
    return None


def _raise_reserved(
    session: TenantSession, principal: Principal, period: date, images: int
) -> bool:
    allowance = principal.allowance
    limit = allowance.monthly_images if principal.is_live else allowance.test_images
    counter = LEDGERS[principal.mode].counter
    statement = update(counter).where(counter.period == period)
    if limit is not None:
        statement = statement.where(counter.used + counter.reserved + images <= limit)
    statement = statement.values(reserved=counter.reserved + images)
    return bool(session.change(statement))


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


def release(session: TenantSession, reservation: Reservation) -> None:
    """Release a whole reservation, because the work failed."""
    if not reservation.already_paid:
        _close(session, reservation, EntryState.RELEASED, 0)


def _close(
    session: TenantSession, reservation: Reservation, state: EntryState, images: int
) -> bool:
    """End a reservation. Returns False if it was ended before."""
    entry, counter = reservation.ledger
    ended = session.change(
        update(entry)
        .where(entry.id == reservation.entry_id, entry.state == EntryState.RESERVED)
        .values(state=state, images=images)
    )
    if not ended:
        return False
    session.change(
        update(counter)
        .where(counter.period == reservation.period)
        .values(reserved=counter.reserved - reservation.images, used=counter.used + images)
    )
    return True


def release_expired(session: TenantSession, now: datetime) -> int:
    """Release the expired reservations of crashed requests of the session's organization. Returns
    how many."""
    expired = [
        Reservation(entry.id, mode, entry.period, entry.images)
        for mode, ledger in LEDGERS.items()
        for entry in session.scalars(select(ledger.entry).where(_expired(ledger, now))).all()
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


def summarise(session: TenantSession, principal: Principal, now: datetime) -> Summary:
    """The current month of the principal's organization, for live images only.

    Reserved images are not in ``used``, but are subtracted from ``remaining``.
    """
    period = period_of(now)
    counter = session.execute(
        select(UsageCounter.used, UsageCounter.reserved).where(UsageCounter.period == period)
    ).one_or_none()
    used, reserved = counter or (0, 0)
    limit = principal.allowance.monthly_images
    return Summary(
        plan=principal.allowance.plan,
        used=used,
        limit=limit,
        remaining=None if limit is None else max(0, limit - used - reserved),
        reset_date=next_period(period),
    )
