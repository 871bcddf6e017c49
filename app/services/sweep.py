"""Tidying up what crashes and time leave behind. Safe to run at any moment, twice, or on two machines."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.adapters.storage import Storage
from app.extensions import transaction
from app.services import idempotency, usage
from app.tenancy import unscoped

SPOOL_KEPT = timedelta(hours=6)
"""Longer than any request lives; its spool folder is touched whenever a file comes or goes."""


@dataclass(frozen=True)
class Swept:
    reservations: int
    answers: int
    spools: int


def sweep(storage: Storage, spool_dir: Path, now: datetime) -> Swept:
    """Release reservations of crashed requests, drop answers older than a day, remove abandoned uploads."""
    with transaction() as session, unscoped(session, "sweep"):
        org_ids = usage.organizations_with_expired(session, now)
        body_keys = idempotency.take_expired(session, now)
    released = 0
    for org_id in org_ids:
        with transaction(org_id) as session:
            released += usage.release_expired(session, now)
    for key in body_keys:
        storage.delete(key)
    return Swept(released, len(body_keys), _sweep_spool(spool_dir, now))


def _sweep_spool(spool_dir: Path, now: datetime) -> int:
    removed = 0
    for folder in spool_dir.iterdir() if spool_dir.is_dir() else ():
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < now - SPOOL_KEPT:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed
