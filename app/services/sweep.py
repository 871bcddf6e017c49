"""Tidying up what crashes and time leave behind. Safe to run at any moment, twice, or on two
machines."""

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
from app.services import idempotency, usage
from app.services.billing import inbox, plans
from app.services.exports import export_jobs
from app.services.library import assets, ingest, renditions
from app.tenancy import unscoped

LEFT_BEHIND = timedelta(hours=1)
"""When nobody works any more on what was last written to so long ago: a file in a spool folder, or
half an object."""
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
    """Give back what crashed requests hold, forget what is over, and remove the objects that no row
    needs."""
    with transaction() as session, unscoped(session, "sweep"):
        org_ids = usage.organizations_with_expired(session, now)
        partitions = set[tuple[str, str]]().union(
            *(
                service.partitions_with_expired(session, now)
                for service in (ingest, renditions, export_jobs, idempotency)
            )
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
            ended["uploads"] += ingest.release_expired(session, now)
            ended["renditions"] += renditions.release_expired(session, now)
            ended["exports"] += export_jobs.release_expired(session, now)
            ended["answers"] += idempotency.release_expired(session, now)
    for partition in sorted(of_test_keys):
        with transaction(*partition) as session:
            ended["test_assets"] += assets.release_expired(session, now)
    for org_id in lapsed:
        with transaction(org_id) as session:
            plans.lapse(session, now)
    return Swept(
        reservations=reservations,
        answers=ended["answers"],
        uploads=ended["uploads"],
        renditions=ended["renditions"],
        exports=ended["exports"],
        test_assets=ended["test_assets"],
        plans=len(lapsed),
        objects=_remove_discarded(storage)
        + _remove_late(storage)
        + storage.tidy(now - LEFT_BEHIND),
        spools=_sweep_spool(spool_dir, now),
    )


def _remove_discarded(storage: Storage) -> int:
    """Objects first, then what was noted of them: a sweep that is killed in between begins
    again."""
    with transaction() as session, unscoped(session, "sweep"):
        keys = session.scalars(select(DiscardedObject.storage_key).limit(AT_ONCE)).all()
    storage.delete(keys)
    with transaction() as session, unscoped(session, "sweep"):
        for part in assets.parts(keys):
            session.change(delete(DiscardedObject).where(DiscardedObject.storage_key.in_(part)))
    return len(keys)


def _remove_late(storage: Storage) -> int:
    """What signed URLs have brought although it was refused, or finalized, before.

    Only what is on its way lies there, so that these are few to look at.
    """
    removed = 0
    for page in storage.pages(ingest.INCOMING):
        keys = [arrived.key for arrived in page]
        with transaction() as session, unscoped(session, "sweep"):
            late = set(keys) - ingest.awaited(session, keys)
        storage.delete(late)
        removed += len(late)
    return removed


def _sweep_spool(spool_dir: Path, now: datetime) -> int:
    removed = 0
    for folder in spool_dir.iterdir() if spool_dir.is_dir() else ():
        with suppress(FileNotFoundError):  # its request ended just now
            if _touched(folder) < now - LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _touched(folder: Path) -> datetime:
    """When anything in a folder was last written to; a folder's own time only tells when files came
    or went."""
    inside = [found.stat() for found in folder.rglob("*")]
    # A link to an old file has the file's own time of modification, and a newer one of its change.
    times = [moment for found in inside for moment in (found.st_mtime, found.st_ctime)]
    return datetime.fromtimestamp(max(folder.stat().st_mtime, *times, 0), UTC)
