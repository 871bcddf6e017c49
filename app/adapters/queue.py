"""Jobs on their way to a worker, by RQ."""

from uuid import uuid4

from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry

DEFAULT = "default"
EXPORTS = "exports"
BILLING_SECONDS = MAILS_SECONDS = 15 * 60
LONGEST_SECONDS = 24 * 60 * 60
FAILURE_KEPT_SECONDS = 60 * 60


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
