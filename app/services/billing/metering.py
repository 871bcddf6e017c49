"""Reporting live images to the payment provider's meter, for organizations that pay by the image.

Settling usage adds a ``MeterEvent`` in the same transaction; reporting deletes it. An entry that is
reported twice, because a worker died in between, counts once: the provider recognises it by the
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

BATCH_SIZE = 500
THREADS = 8
MAX_AGE = timedelta(days=34)
"""The provider accepts images that are at most 35 days old."""
MAX_FAILURES = THREADS
"""After this many failures the provider is assumed to be down. Waiting for each of five hundred
would outlast the job."""


@dataclass(frozen=True)
class MeterReading:
    """The images of one ledger entry, to be reported to the meter."""

    org_id: str
    entry_id: str
    images: int
    at: datetime
    customer_id: str | None


def report(provider: Provider) -> int:
    """Report waiting ledger entries. Returns how many were reported; the others stay for the next
    time."""
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
            .limit(BATCH_SIZE)
        )
        return [MeterReading(*row) for row in rows]


def _send(provider: Provider, reading: MeterReading, failed: list[MeterReading]) -> bool:
    """Report one reading. Returns False if the provider does not answer. A reading without a
    customer, or one that is too old, is logged and dropped."""
    if len(failed) >= MAX_FAILURES:
        return False
    try:
        if reading.customer_id is None or reading.at < provider.clock() - MAX_AGE:
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
