"""The jobs that RQ knows, as staff look at them, and what they may do with those that failed."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import croniter  # type: ignore[import-untyped]  # it has none
from redis import Redis
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.registry import BaseRegistry, FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from app.adapters.queue import COMPARED_DAILY, EXPORTS, QUEUES

MOST_SHOWN = 50
EPOCH = datetime.fromtimestamp(0, UTC)
MOST_FAILED = 1000
"""How many failed jobs of a queue are kept, the newest ones."""
CALL_CHARACTERS = 300
TRACE_CHARACTERS = 20_000
PARAMETERS = re.compile(r"\[parameters: .*", re.DOTALL)
"""What SQLAlchemy's errors say of values; it may be a customer's, and stands at the end."""
STATEMENT = re.compile(r"^\[SQL.*?^\(Background on this error at: .*?$", re.DOTALL | re.MULTILINE)
"""What SQLAlchemy's errors say after what went wrong."""
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class JobState:
    """A job. ``call`` is the function with its arguments, which are ids. ``worker`` is set while it
    runs, ``trace`` once it failed."""

    id: str
    queue: str
    call: str
    enqueued_at: datetime | None
    began_at: datetime | None
    ended_at: datetime | None
    worker: str | None
    trace: str = ""

    @property
    def error(self) -> str:
        """The last line of the traceback that says something."""
        lines = STATEMENT.sub("", self.trace).strip().splitlines()
        return lines[-1][:CALL_CHARACTERS] if lines else ""


@dataclass(frozen=True)
class Some:
    """The first jobs of a list, and how many there are in total."""

    jobs: Sequence[JobState]
    total: int


@dataclass(frozen=True)
class WorkingOn:
    """A worker process, what it does, and when it was last heard."""

    name: str
    queues: Sequence[str]
    state: str
    heartbeat: datetime | None
    job_id: str | None


@dataclass(frozen=True)
class NextRun:
    """When a job is enqueued by the clock."""

    name: str
    queue: str
    at: datetime


def waiting(connection: Redis) -> dict[str, Some]:
    """The jobs that wait in each queue, the first to run first. Raises RedisError."""
    found = {}
    for name in QUEUES:
        queue = Queue(name, connection=connection)
        ids = queue.get_job_ids(0, MOST_SHOWN)
        found[name] = Some(_states(connection, ids), queue.count)
    return found


def running(connection: Redis) -> Some:
    """The jobs that workers are at. Raises RedisError."""
    return _some(connection, StartedJobRegistry)


def failed(connection: Redis) -> Some:
    """The jobs that failed, the newest first. Raises RedisError."""
    return _some(connection, FailedJobRegistry)


def failed_job(connection: Redis, job_id: str) -> JobState | None:
    """A job that failed, with its traceback. Raises RedisError."""
    registry = _registry_of(connection, job_id)
    return _states(connection, [job_id])[0] if registry else None


def retry(connection: Redis, job_id: str) -> bool:
    """Put a failed job into its queue again. False if it is none any more. Raises RedisError."""
    registry = _registry_of(connection, job_id)
    if registry is None:
        return False
    try:
        registry.requeue(job_id)
    except (InvalidJobOperation, NoSuchJobError):
        return False
    return True


def drop(connection: Redis, job_id: str) -> bool:
    """Forget a failed job. False if it is none any more. Raises RedisError."""
    registry = _registry_of(connection, job_id)
    if registry is None:
        return False
    registry.remove(job_id, delete_job=True)
    return True


def failed_ids(connection: Redis) -> list[str]:
    """The ids of all failed jobs. Raises RedisError."""
    return [
        job_id
        for name in QUEUES
        for job_id in FailedJobRegistry(name, connection).get_job_ids(cleanup=False)
    ]


def trim_failed(connection: Redis) -> int:
    """Forget all but the newest failed jobs of each queue, ``MOST_FAILED``. Returns how many.
    Raises RedisError."""
    removed = 0
    for name in QUEUES:
        registry = FailedJobRegistry(name, connection)
        for job_id in registry.get_job_ids(0, -MOST_FAILED - 1):
            registry.remove(job_id, delete_job=True)
            removed += 1
    return removed


def workers(connection: Redis) -> list[WorkingOn]:
    """All workers, by queue. Raises RedisError."""
    found = [
        WorkingOn(
            one.name,
            one.queue_names(),
            str(one.get_state()),
            _in_utc(one.last_heartbeat),
            one.get_current_job_id(),
        )
        for one in Worker.all(connection=connection)
    ]
    return sorted(found, key=lambda one: (tuple(one.queues), one.name))


def scheduled(connection: Redis, now: datetime) -> list[NextRun]:
    """What is to run later, the soonest first: the comparison of the day, and retries. The sweep
    runs each minute, and is not among them. Raises RedisError."""
    later = [NextRun("compare_storage", EXPORTS, croniter(COMPARED_DAILY, now).get_next(datetime))]
    for name in QUEUES:
        registry = ScheduledJobRegistry(name, connection=connection)
        for job_id in registry.get_job_ids(0, MOST_SHOWN - 1, cleanup=False):
            with suppress(NoSuchJobError):  # it may be enqueued meanwhile
                moment = registry.get_scheduled_time(job_id)
                later.append(NextRun(job_id, name, moment.astimezone(UTC)))
    return sorted(later, key=lambda run: run.at)


def _registry_of(connection: Redis, job_id: str) -> FailedJobRegistry | None:
    """The list of failed jobs that has this one."""
    for name in QUEUES:
        registry = FailedJobRegistry(name, connection)
        if connection.zscore(registry.key, job_id) is not None:
            return registry if Job.exists(job_id, connection) else None
    return None


def _some(connection: Redis, kind: type[BaseRegistry]) -> Some:
    jobs: list[JobState] = []
    total = 0
    for name in QUEUES:
        registry = kind(name, connection)
        ids = registry.get_job_ids(0, MOST_SHOWN - 1, desc=True, cleanup=False)
        jobs += _states(connection, ids)
        total += connection.zcard(registry.key)
    newest = sorted(jobs, key=lambda one: one.ended_at or one.began_at or EPOCH, reverse=True)
    return Some(newest[:MOST_SHOWN], total)


def _states(connection: Redis, ids: Sequence[str]) -> list[JobState]:
    return [_state(job) for job in Job.fetch_many(ids, connection) if job] if ids else []


def _state(job: Job) -> JobState:
    result = job.latest_result() if job.is_failed else None
    trace = (result.exc_string if result else None) or ""
    return JobState(
        job.id,
        job.origin,
        (job.description or "")[:CALL_CHARACTERS],
        _in_utc(job.enqueued_at),
        _in_utc(job.started_at),
        _in_utc(job.ended_at),
        job.worker_name,
        without_secrets(trace)[-TRACE_CHARACTERS:],
    )


def without_secrets(trace: str) -> str:
    """A traceback without the values of statements and without passwords in URLs."""
    return CREDENTIALS.sub("…@", PARAMETERS.sub("[parameters: left out]", trace))


def _in_utc(moment: datetime | None) -> datetime | None:
    """RQ's moments have no zone in some versions; they are in UTC."""
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
