"""Reporting live images to the payment provider's meter, for organizations that pay by the image.

Settling usage leaves a ``MeterEvent`` in the same transaction; reporting takes it away again. What
is reported twice, because a worker died in between, counts once: the provider knows it by the
ledger entry's id.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select

from app.adapters.payments.interface import CustomerGone
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import BillingAccount, MeterEvent, UsageEntry
from app.services.billing.provider import Provider
from app.tenancy import unscoped

log = structlog.get_logger()

AT_ONCE = 500
THREADS = 8
OLDEST = timedelta(days=34)
"""The provider takes what is at most 35 days old."""
ENOUGH_FAILURES = THREADS
"""After which it is taken to be down: waiting for each of five hundred would outlast the job."""


@dataclass(frozen=True)
class MeterReading:
    """Images of one ledger entry, on their way to the meter."""

    org_id: str
    entry_id: str
    images: int
    at: datetime
    customer_id: str | None


def report(provider: Provider) -> int:
    """Report what waits. Returns how many ledger entries were; the rest stays for the next time."""
    reported = 0
    failed: list[MeterReading] = []
    while provider.meter and not failed and (readings := _waiting()):
        with ThreadPoolExecutor(THREADS, thread_name_prefix="meter") as threads:
            taken = list(threads.map(lambda reading: _send(provider, reading, failed), readings))
        _forget([reading for reading, done in zip(readings, taken, strict=True) if done])
        reported += sum(taken)
    return reported


def _waiting() -> Sequence[MeterReading]:
    with transaction() as session, unscoped(session, "report usage"):
        rows = session.execute(
            select(
                MeterEvent.org_id,
                MeterEvent.entry_id,
                MeterEvent.images,
                UsageEntry.created_at,
                BillingAccount.customer_id,
            )
            .join(UsageEntry, UsageEntry.id == MeterEvent.entry_id)
            .outerjoin(BillingAccount, BillingAccount.org_id == MeterEvent.org_id)
            .order_by(MeterEvent.entry_id)
            .limit(AT_ONCE)
        )
        return [MeterReading(*row) for row in rows]


def _send(provider: Provider, reading: MeterReading, failed: list[MeterReading]) -> bool:
    """False where the provider does not answer. What nobody can be asked to pay is given up, and
    told."""
    if len(failed) >= ENOUGH_FAILURES:
        return False
    try:
        if reading.customer_id is None or reading.at < provider.clock() - OLDEST:
            raise CustomerGone(reading.customer_id)
        provider.payments.meter(
            provider.meter, reading.entry_id, reading.customer_id, reading.images, reading.at
        )
    except CustomerGone:
        log.error(
            "metering.lost", org_id=reading.org_id, entry=reading.entry_id, images=reading.images
        )
    except DependencyDown:
        failed.append(reading)
        return False
    return True


def _forget(readings: Sequence[MeterReading]) -> None:
    with transaction() as session, unscoped(session, "usage was reported"):
        session.change(
            delete(MeterEvent).where(MeterEvent.entry_id.in_([one.entry_id for one in readings]))
        )
