"""Tidying up what crashes and time leave behind. Safe to run at any moment, twice, or on two
machines."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import delete, select

from app.adapters.storage.interface import Storage
from app.extensions import transaction
from app.models import DiscardedObject
from app.services import idempotency, usage
from app.services.billing import inbox, plans
from app.services.exports import export_jobs
from app.services.library import assets, ingest, kept_renditions
from app.tenancy import TenantSession, unscoped

LEFT_BEHIND = timedelta(hours=1)
"""When nobody works any more on what was last written to so long ago: a file in a spool folder, or
half an object."""
AT_ONCE = 10_000
"""Objects that one sweep removes; the next takes the rest."""


class Sweeper(NamedTuple):
    """One kind of thing that comes to an end.

    ``places`` are what to bind sessions to so as to find some, told by an unscoped session.
    ``release`` ends those of one place and returns how many they were.
    """

    name: str
    places: Callable[[TenantSession, datetime], Iterable[tuple[str, ...]]]
    release: Callable[[TenantSession, datetime], int]


SWEEPERS = (
    Sweeper("events", lambda _session, _now: [()], inbox.release_expired),
    Sweeper("reservations", usage.organizations_with_expired, usage.release_expired),
    Sweeper("uploads", ingest.partitions_with_expired, ingest.release_expired),
    Sweeper("renditions", kept_renditions.partitions_with_expired, kept_renditions.release_expired),
    Sweeper("exports", export_jobs.partitions_with_expired, export_jobs.release_expired),
    Sweeper("answers", idempotency.partitions_with_expired, idempotency.release_expired),
    Sweeper("test assets", assets.partitions_with_expired, assets.release_expired),
    Sweeper("plans", plans.organizations_with_lapsed, plans.lapse),
)


def sweep(storage: Storage, spool_dir: Path, now: datetime) -> Counter[str]:
    """Give back what crashed requests hold, forget what is over, and remove the objects that no row
    needs. Returns how much, by name."""
    swept = Counter[str]()
    for name, places, release in SWEEPERS:
        with transaction() as session, unscoped(session, "sweep"):
            found = sorted(places(session, now))
        for place in found:
            with transaction(*place) as session:
                swept[name] += release(session, now)
    swept["objects"] = (
        _remove_discarded(storage) + _remove_late(storage) + storage.cleanup(now - LEFT_BEHIND)
    )
    swept["work folders"] = _sweep_spool(spool_dir, now)
    return swept


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
