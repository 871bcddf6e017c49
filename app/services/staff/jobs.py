"""What the worker does, as staff see it across organizations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from redis import Redis
from sqlalchemy import func, select, update

from app.adapters import queue_jobs
from app.adapters.queue_jobs import JobState, NextRun, Some, WorkingOn
from app.errors import Conflict, NotFound
from app.models import DataExport, DataExportStatus, Export, ExportStatus, Mail
from app.services import job_runs
from app.services.exports import data_exports, export_jobs
from app.services.exports.data_exports import DueDataExport
from app.services.exports.export_jobs import UNFINISHED, DueExport
from app.services.exports.leased_zips import LEASE
from app.services.job_runs import Run
from app.tenancy import TenantSession

MOST_EXPORTS = 50
MOST_MAILS = 20
SHOWN = (*UNFINISHED, ExportStatus.FAILED)


@dataclass(frozen=True)
class Work:
    """What Redis says of jobs."""

    waiting: dict[str, Some]
    running: Some
    failed: Some
    workers: Sequence[WorkingOn]
    scheduled: Sequence[NextRun]
    runs: Sequence[Run]


@dataclass(frozen=True)
class ExportState:
    """An export; ``kind`` is the mode of a batch export, or ``data``. ``is_stuck`` is whether its
    lease is over, so that no worker is at it."""

    kind: str
    org_id: str
    id: str
    status: str
    processed: int
    total: int
    attempts: int
    created_at: datetime
    is_stuck: bool
    error: str | None


def work(redis: Redis, now: datetime) -> Work:
    """Raises RedisError."""
    return Work(
        queue_jobs.waiting(redis),
        queue_jobs.running(redis),
        queue_jobs.failed(redis),
        queue_jobs.workers(redis),
        queue_jobs.scheduled(redis, now),
        job_runs.last_runs(redis),
    )


def failed_job(redis: Redis, job_id: str) -> JobState:
    """Raises NotFound, RedisError."""
    if job := queue_jobs.failed_job(redis, job_id):
        return job
    raise NotFound("No failed job has this id. It may run again, or have been dropped.")


def exports(session: TenantSession, now: datetime) -> tuple[list[ExportState], int]:
    """The first of those that are not done, unfinished ones first, and how many are unfinished or
    failed in total; ``session`` must be unscoped."""
    batch = session.scalars(
        select(Export)
        .where(Export.status.in_(SHOWN))
        .order_by(Export.status.desc(), Export.lease_until.desc())
        .limit(MOST_EXPORTS)
    )
    data = session.scalars(
        select(DataExport)
        .where(DataExport.status.in_(SHOWN))
        .order_by(DataExport.status.desc(), DataExport.lease_until.desc())
        .limit(MOST_EXPORTS)
    )
    found = [_of_batch(one, now) for one in batch] + [_of_data(one, now) for one in data]
    total = sum(
        session.scalar(select(func.count()).select_from(kind).where(kind.status.in_(SHOWN))) or 0
        for kind in (Export, DataExport)
    )
    found.sort(key=lambda one: one.created_at, reverse=True)
    found.sort(key=lambda one: one.status == ExportStatus.FAILED)
    return found[:MOST_EXPORTS], total


def _of_batch(one: Export, now: datetime) -> ExportState:
    is_stuck = one.status in UNFINISHED and one.lease_until <= now
    return ExportState(
        one.mode, one.org_id, one.id, one.status, one.processed, one.total, one.attempt,
        one.created_at, is_stuck, one.error,
    )  # fmt: skip


def _of_data(one: DataExport, now: datetime) -> ExportState:
    is_stuck = one.status in UNFINISHED and one.lease_until is not None and one.lease_until <= now
    return ExportState(
        "data", one.org_id, one.id, one.status, one.processed, one.total, one.attempts,
        one.created_at, is_stuck, one.error,
    )  # fmt: skip


def requeue(
    session: TenantSession, kind: str, export_id: str, now: datetime
) -> DueExport | DueDataExport:
    """Mark an export whose worker is gone as queued; ``session`` is bound to its organization, and
    to its mode if it has one. To be enqueued after the commit (``enqueue``). Raises NotFound, and
    Conflict while a worker may be at it."""
    model: type[Export] | type[DataExport] = DataExport if kind == "data" else Export
    stuck = update(model).where(
        model.id == export_id, model.status.in_(UNFINISHED), model.lease_until <= now
    )
    queued = {"status": DataExportStatus.QUEUED, "lease_until": now + LEASE}
    changed = session.change(stuck.values(**queued))
    export: Export | DataExport | None = (
        session.scalar(select(DataExport).where(DataExport.id == export_id))
        if kind == "data"
        else session.scalar(select(Export).where(Export.id == export_id))
    )
    if export is None:
        raise NotFound("This organization has no such export.")
    if not changed:
        raise Conflict(f"The export is {export.status}, and no worker has lost it.")
    return data_exports.due(export) if isinstance(export, DataExport) else export_jobs.due(export)


def enqueue(redis: Redis, due: DueExport | DueDataExport) -> None:
    """If the queue does not answer, the worker finds the row a little later."""
    if isinstance(due, DueDataExport):
        data_exports.enqueue(redis, due)
    else:
        export_jobs.enqueue(redis, due)


def waiting_mails(session: TenantSession) -> tuple[Sequence[Mail], int]:
    """The first mails that wait, the soonest first, and how many wait in total."""
    waits = Mail.next_attempt_at.is_not(None)
    first = select(Mail).where(waits).order_by(Mail.next_attempt_at).limit(MOST_MAILS)
    total = session.scalar(select(func.count()).select_from(Mail).where(waits)) or 0
    return session.scalars(first).all(), total
