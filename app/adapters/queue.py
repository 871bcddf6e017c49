"""Jobs on their way to a worker, by RQ."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry

DEFAULT = "default"
EXPORTS = "exports"
QUEUES = (DEFAULT, EXPORTS)
"""Each queue has its own process, so that exports, which may take an hour, do not delay other
jobs."""
COMPARED_DAILY = "40 3 * * *"
"""A cron expression in UTC, at a quiet hour. On the exports queue, because the comparison may take
as long."""
BILLING_SECONDS = MAILS_SECONDS = 15 * 60
SWEEPING_SECONDS = 15 * 60
LONGEST_SECONDS = 24 * 60 * 60
RECONCILE_SECONDS = 60 * 60
FAILURE_KEPT_SECONDS = 7 * 24 * 60 * 60
"""Long enough for somebody to look after a weekend; the sweep bounds the number."""


@dataclass(frozen=True)
class WorkerState:
    """A process that works on queues, as it last said. ``heartbeat`` is None before the first."""

    name: str
    queues: tuple[str, ...]
    state: str
    heartbeat: datetime | None


@dataclass(frozen=True)
class QueueState:
    """How many jobs wait, and since when the first of them does; None if none waits."""

    name: str
    jobs: int
    waiting_since: datetime | None

    def age(self, now: datetime) -> float:
        """For how many seconds the first job has waited."""
        return max((now - self.waiting_since).total_seconds(), 0.0) if self.waiting_since else 0.0


def queue_states(connection: Redis) -> list[QueueState]:
    """The state of each queue. Raises RedisError."""
    states = []
    for name in QUEUES:
        queue = Queue(name, connection=connection)
        first = queue.get_job_ids(0, 1)
        [job] = Job.fetch_many(first, connection) if first else [None]
        since = job.enqueued_at if job else None
        states.append(QueueState(name, queue.count, _in_utc(since)))
    return states


def worker_states(connection: Redis) -> list[WorkerState]:
    """All workers that Redis knows, by name. Raises RedisError."""
    workers = [
        WorkerState(
            worker.name,
            tuple(worker.queue_names()),
            str(worker.get_state()),
            _in_utc(worker.last_heartbeat),
        )
        for worker in Worker.all(connection=connection)
    ]
    return sorted(workers, key=lambda worker: (worker.queues, worker.name))


def _in_utc(moment: datetime | None) -> datetime | None:
    """RQ's moments have no zone in some versions; they are in UTC."""
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def enqueue_export(connection: Redis, org_id: str, mode: str, export_id: str, job_id: str) -> None:
    """Have ``app.jobs.export`` called, unless this job waits already. Raises RedisError."""
    _enqueue_long(connection, job_id, "app.jobs.export", org_id, mode, export_id)


def enqueue_data_export(connection: Redis, org_id: str, export_id: str, job_id: str) -> None:
    """Have ``app.jobs.data_export`` called, unless this job waits already. Raises RedisError."""
    _enqueue_long(connection, job_id, "app.jobs.data_export", org_id, export_id)


def enqueue_deletions(connection: Redis) -> None:
    """Have ``app.jobs.deletions`` called, unless such a job waits already. Raises RedisError."""
    _enqueue_once(connection, "deletions", LONGEST_SECONDS, EXPORTS)


def enqueue_billing(connection: Redis) -> None:
    """Have ``app.jobs.billing`` called, unless such a job waits already. Raises RedisError."""
    _enqueue_once(connection, "billing", BILLING_SECONDS)


def enqueue_sweep(connection: Redis) -> None:
    """Have ``app.jobs.sweep`` called, unless such a job waits already. Raises RedisError."""
    _enqueue_once(connection, "sweep", SWEEPING_SECONDS)


def enqueue_reconcile(connection: Redis) -> None:
    """Have ``app.jobs.reconcile`` called, unless such a job waits already. Raises RedisError."""
    _enqueue_once(connection, "reconcile", RECONCILE_SECONDS, EXPORTS)


def enqueue_mails(connection: Redis) -> None:
    """Have ``app.jobs.mails`` called, unless such a job waits already. Raises RedisError."""
    _enqueue_once(connection, "mails", MAILS_SECONDS)


def failed_jobs(connection: Redis) -> int:
    """How many jobs have failed that are kept still. Raises RedisError."""
    registries = (FailedJobRegistry(name, connection=connection) for name in (DEFAULT, EXPORTS))
    return sum(registry.get_job_count(cleanup=False) for registry in registries)


def _enqueue_long(connection: Redis, job_id: str, function: str, *arguments: str) -> None:
    queue = Queue(EXPORTS, connection=connection)
    if queue.get_job_position(job_id) is None:
        queue.enqueue(
            function,
            *arguments,
            job_id=job_id,
            job_timeout=LONGEST_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT_SECONDS,
        )


def _enqueue_once(connection: Redis, name: str, seconds: int, queue_name: str = DEFAULT) -> None:
    queue = Queue(queue_name, connection=connection)
    if not any(job_id.startswith(f"{name}-") for job_id in queue.job_ids):
        queue.enqueue(
            f"app.jobs.{name}",
            job_id=f"{name}-{uuid4().hex}",
            job_timeout=seconds,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT_SECONDS,
        )
