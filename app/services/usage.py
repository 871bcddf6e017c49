"""Counting live images: reserve before the work, settle after it.

The month's counter is raised by one conditional UPDATE, so that parallel requests never pass the plan's limit on any
database. Every reservation is a ledger entry with a lease: what a crash left open is given back when the lease is over,
by the sweep or by the next request that would otherwise be refused.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, update

from app.errors import DependencyDown, MonthlyLimitReached, QuotaExceeded
from app.models import EntryState, MeterEvent, UsageCounter, UsageEntry, new_id
from app.services.principal import Allowance, Principal
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(minutes=5)


@dataclass(frozen=True)
class Reservation:
    """Images set aside for one piece of work. ``entry_id`` is None where nothing is counted (test keys).

    ``metered`` ones are reported to the payment provider once they are settled.
    """

    entry_id: str | None
    period: date
    images: int
    already_paid: bool = False
    metered: bool = False


@dataclass(frozen=True)
class Summary:
    """An organization's month. ``limit`` and ``remaining`` are None without a limit."""

    plan: str
    used: int
    limit: int | None
    remaining: int | None
    reset_date: date


def period_of(now: datetime) -> date:
    """The calendar month (UTC) of a moment, as its first day."""
    return now.astimezone(UTC).date().replace(day=1)


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
    """Set ``images`` aside before the work begins. Raises ``refusal``, which is the caller's dialect's.

    ``reference`` names a request that may come again after a crash: what it paid once, it doesn't pay again.
    """
    period = period_of(now)
    if not principal.is_live:
        return Reservation(None, period, images)
    if reference is not None and (paid := _earlier_attempt(session, reference)):
        return paid
    insert_if_absent(session, UsageCounter, period=period, used=0, reserved=0)
    if not _raise_reserved(session, principal, period, images):
        release_expired(session, now)
        if not _raise_reserved(session, principal, period, images):
            raise refusal(_too_many(images, summarise(session, principal, now), principal.allowance))
    entry = UsageEntry(
        id=new_id("use", now),
        key_id=principal.key_id,
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
    return Reservation(entry.id, period, images, metered=principal.allowance.metered)


def check(session: TenantSession, principal: Principal, images: int, now: datetime) -> None:
    """Refuse work that can't be done before it begins, without setting anything aside. Raises QuotaExceeded."""
    summary = summarise(session, principal, now)
    if principal.is_live and summary.remaining is not None and images > summary.remaining:
        raise QuotaExceeded(_too_many(images, summary, principal.allowance))


def _too_many(images: int, summary: Summary, allowance: Allowance) -> str:
    return (
        f"This request needs {images} images, and {summary.remaining} of {summary.limit} are left on the "
        f"{summary.plan} plan until {summary.reset_date}. Upgrade the plan or wait for the reset date."
        f"{allowance.arrears}"
    )


def _earlier_attempt(session: TenantSession, reference: str) -> Reservation | None:
    """What an earlier attempt at the same request paid. One that never ended gives its reservation back."""
    entry = session.scalar(select(UsageEntry).where(UsageEntry.reference == reference).with_for_update())
    if entry is None:
        return None
    if entry.state == EntryState.SETTLED:
        return Reservation(entry.id, entry.period, entry.images, already_paid=True)
    _close(session, Reservation(entry.id, entry.period, entry.images), EntryState.RELEASED, 0)
    entry.reference = None
    session.flush()
    return None


def _raise_reserved(session: TenantSession, principal: Principal, period: date, images: int) -> bool:
    limit = principal.allowance.monthly_images
    statement = update(UsageCounter).where(UsageCounter.period == period)
    if limit is not None:
        statement = statement.where(UsageCounter.used + UsageCounter.reserved + images <= limit)
    statement = statement.values(reserved=UsageCounter.reserved + images)
    return bool(session.change(statement))


def extend(session: TenantSession, reservation: Reservation, now: datetime) -> None:
    """Renew the lease of work that takes long."""
    session.change(
        update(UsageEntry)
        .where(UsageEntry.id == reservation.entry_id, UsageEntry.state == EntryState.RESERVED)
        .values(lease_until=now + LEASE)
    )


def settle(session: TenantSession, reservation: Reservation, images: int) -> None:
    """Count the ``images`` that were really processed and give the rest of the reservation back.

    Raises DependencyDown when the reservation was swept meanwhile (the work hung past its lease): the answer must then
    not be given, because nothing is left to charge it to.
    """
    if reservation.entry_id is None or reservation.already_paid:
        return
    if images > reservation.images:
        raise ValueError("more images settled than reserved")
    if not _close(session, reservation, EntryState.SETTLED, images):
        raise DependencyDown("The work took too long and was given up. Nothing was charged; send it again.")
    if reservation.metered and images:
        session.add(MeterEvent(entry_id=reservation.entry_id, images=images))


def release(session: TenantSession, reservation: Reservation) -> None:
    """Give a reservation back whole: the work failed."""
    if reservation.entry_id is not None and not reservation.already_paid:
        _close(session, reservation, EntryState.RELEASED, 0)


def _close(session: TenantSession, reservation: Reservation, state: EntryState, images: int) -> bool:
    """End a reservation, once. False when it already was ended."""
    ended = session.change(
        update(UsageEntry)
        .where(UsageEntry.id == reservation.entry_id, UsageEntry.state == EntryState.RESERVED)
        .values(state=state, images=images)
    )
    if not ended:
        return False
    session.change(
        update(UsageCounter)
        .where(UsageCounter.period == reservation.period)
        .values(reserved=UsageCounter.reserved - reservation.images, used=UsageCounter.used + images)
    )
    return True


def release_expired(session: TenantSession, now: datetime) -> int:
    """Give back what crashed requests of the session's org left reserved. Returns the number of entries."""
    expired = session.scalars(
        select(UsageEntry).where(UsageEntry.state == EntryState.RESERVED, UsageEntry.lease_until <= now)
    ).all()
    return sum(
        _close(session, Reservation(entry.id, entry.period, entry.images), EntryState.RELEASED, 0) for entry in expired
    )


def organizations_with_expired(session: TenantSession, now: datetime) -> list[str]:
    """The orgs in which a sweep has something to give back; ``session`` must be unscoped."""
    return list(
        session.scalars(
            select(UsageEntry.org_id)
            .where(UsageEntry.state == EntryState.RESERVED, UsageEntry.lease_until <= now)
            .distinct()
        )
    )


def summarise(session: TenantSession, principal: Principal, now: datetime) -> Summary:
    """The running month of the principal's organization. Work in flight is not in ``used``, but not free either."""
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
