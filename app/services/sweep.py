"""Tidying up what crashes and time leave behind. Safe to run at any moment, twice, or on two machines."""

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from app.adapters.storage import Storage
from app.extensions import transaction
from app.models import DiscardedObject
from app.services import assets, batches, idempotency, inbox, intake, plans, renditions, usage
from app.tenancy import unscoped

SPOOL_KEPT = timedelta(hours=6)
"""Longer than any request lives; its spool folder is touched whenever a file comes or goes."""


UNFINISHED_KEPT = timedelta(days=1)
"""What a put left half-done; no transfer takes so long."""
AT_ONCE = 10_000
"""Objects that one sweep removes; the next takes the rest."""


@dataclass(frozen=True)
class Swept:
    """How much was given back or removed."""

    reservations: int
    answers: int
    uploads: int
    renditions: int
    exports: int
    test_assets: int
    plans: int
    objects: int
    spools: int


def sweep(storage: Storage, spool_dir: Path, now: datetime) -> Swept:
    """Give back what crashed requests hold, forget what is over, and remove the objects that no row needs."""
    with transaction() as session, unscoped(session, "sweep"):
        org_ids = usage.organizations_with_expired(session, now)
        body_keys = idempotency.take_expired(session, now)
        partitions = set[tuple[str, str]]().union(
            *(service.partitions_with_expired(session, now) for service in (intake, renditions, batches))
        )
        of_test_keys = assets.partitions_with_expired(session, now)
        lapsed = plans.organizations_with_lapsed(session, now)
        inbox.release_expired(session, now)
    reservations = 0
    for org_id in org_ids:
        with transaction(org_id) as session:
            reservations += usage.release_expired(session, now)
    ended = Counter[str]()
    for partition in sorted(partitions):
        with transaction(*partition) as session:
            ended["uploads"] += intake.release_expired(session, now)
            ended["renditions"] += renditions.release_expired(session, now)
            ended["exports"] += batches.release_expired(session, now)
    for partition in sorted(of_test_keys):
        with transaction(*partition) as session:
            ended["test_assets"] += assets.release_expired(session, now)
    for org_id in lapsed:
        with transaction(org_id) as session:
            plans.lapse(session, now)
    storage.delete(body_keys)
    return Swept(
        reservations=reservations,
        answers=len(body_keys),
        uploads=ended["uploads"],
        renditions=ended["renditions"],
        exports=ended["exports"],
        test_assets=ended["test_assets"],
        plans=len(lapsed),
        objects=_remove_discarded(storage) + storage.tidy(now - UNFINISHED_KEPT),
        spools=_sweep_spool(spool_dir, now),
    )


def _remove_discarded(storage: Storage) -> int:
    """Objects first, then what was noted of them: a sweep that is killed in between begins again."""
    with transaction() as session, unscoped(session, "sweep"):
        keys = session.scalars(select(DiscardedObject.storage_key).limit(AT_ONCE)).all()
    storage.delete(keys)
    with transaction() as session, unscoped(session, "sweep"):
        for part in assets.parts(keys):
            session.change(delete(DiscardedObject).where(DiscardedObject.storage_key.in_(part)))
    return len(keys)


def _sweep_spool(spool_dir: Path, now: datetime) -> int:
    removed = 0
    for folder in spool_dir.iterdir() if spool_dir.is_dir() else ():
        with suppress(FileNotFoundError):  # its request ended just now
            if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < now - SPOOL_KEPT:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed
