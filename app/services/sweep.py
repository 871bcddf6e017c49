"""Removes what crashes leave behind and what has expired. A sweep may run at any time, twice, or on
two machines at once."""

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
from app.services import blocks, idempotency, outbox, request_log, staff_log
from app.services.accounts import invitations, mailed_links, sign_ins
from app.services.billing import inbox
from app.services.exports import data_exports, export_jobs
from app.services.library import assets, ingest, kept_renditions, trash
from app.services.usage import reservations
from app.tenancy import TenantSession, unscoped

ABANDONED_AFTER = timedelta(hours=1)
"""A spool folder that was last written this long ago is abandoned."""
BATCH_SIZE = 10_000
"""Objects that one sweep removes; the next sweep removes the rest."""


class Sweeper(NamedTuple):
    """Releases the expired things of one kind.

    ``partitions`` takes an unscoped session and returns the partitions with expired things, as
    arguments of ``transaction``. ``release`` removes those of one partition and returns how many
    there were.
    """

    name: str
    partitions: Callable[[TenantSession, datetime], Iterable[tuple[str, ...]]]
    release: Callable[[TenantSession, datetime], int]


SWEEPERS = (
    Sweeper("events", lambda _session, _now: [()], inbox.release_expired),
    Sweeper("links", lambda _session, _now: [()], mailed_links.release_expired),
    Sweeper("sessions", lambda _session, _now: [()], sign_ins.release_expired),
    Sweeper("blocks", lambda _session, _now: [()], blocks.release_expired),
    Sweeper("staff log", lambda _session, _now: [()], staff_log.release_expired),
    Sweeper("mails", lambda _session, _now: [()], outbox.release_expired),
    Sweeper("requests", lambda _session, _now: [()], request_log.release_expired),
    Sweeper("reservations", reservations.organizations_with_expired, reservations.release_expired),
    Sweeper("uploads", ingest.partitions_with_expired, ingest.release_expired),
    Sweeper("renditions", kept_renditions.partitions_with_expired, kept_renditions.release_expired),
    Sweeper("exports", export_jobs.partitions_with_expired, export_jobs.release_expired),
    Sweeper("data exports", data_exports.organizations_with_expired, data_exports.release_expired),
    Sweeper("answers", idempotency.partitions_with_expired, idempotency.release_expired),
    Sweeper("trash", trash.partitions_with_expired, trash.release_expired),
    Sweeper("test assets", assets.partitions_with_expired, assets.release_expired),
    Sweeper("invitations", invitations.organizations_with_expired, invitations.release_expired),
)


def sweep(storage: Storage, spool_dir: Path, now: datetime) -> Counter[str]:
    """Release what crashed requests hold, delete what has expired, and remove the objects that no
    row needs. Returns the numbers by name."""
    swept = Counter[str]()
    for name, partitions, release in SWEEPERS:
        with transaction() as session, unscoped(session, "sweep"):
            found = sorted(partitions(session, now))
        for partition in found:
            with transaction(*partition) as session:
                swept[name] += release(session, now)
    swept["objects"] = (
        _remove_discarded(storage)
        + _remove_stale_uploads(storage)
        + storage.cleanup(now - ingest.UNFINISHED_FOR)
    )
    swept["work folders"] = _sweep_spool(spool_dir, now)
    return swept


def _remove_discarded(storage: Storage) -> int:
    """Remove the objects first and their rows after, so that a sweep that is killed in between
    begins again."""
    with transaction() as session, unscoped(session, "sweep"):
        keys = session.scalars(select(DiscardedObject.storage_key).limit(BATCH_SIZE)).all()
    storage.delete(keys)
    with transaction() as session, unscoped(session, "sweep"):
        for part in assets.batches(keys):
            session.change(delete(DiscardedObject).where(DiscardedObject.storage_key.in_(part)))
    return len(keys)


def _remove_stale_uploads(storage: Storage) -> int:
    """Remove bytes that arrived by a signed URL after their upload was refused or finalized.

    Only unfinished uploads are under this prefix, so there are few objects to list.
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
            if _last_written(folder) < now - ABANDONED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _last_written(folder: Path) -> datetime:
    """When anything in a folder was last written. The folder's own time changes only when files are
    added or removed."""
    inside = [found.stat() for found in folder.rglob("*")]
    # A hard link to an old file keeps the file's mtime, but its ctime is new.
    times = [moment for found in inside for moment in (found.st_mtime, found.st_ctime)]
    return datetime.fromtimestamp(max(folder.stat().st_mtime, *times, 0), UTC)
