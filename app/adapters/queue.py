"""Jobs on their way to a worker, by RQ."""

from redis import Redis
from rq import Queue

EXPORTS = "exports"
LONGEST_SECONDS = 24 * 60 * 60
FAILURE_KEPT_SECONDS = 60 * 60


def enqueue_export(connection: Redis, org_id: str, mode: str, export_id: str, job_id: str) -> None:
    """Have ``app.jobs.export`` called, unless this job waits already. Raises RedisError."""
    queue = Queue(EXPORTS, connection=connection)
    if queue.get_job_position(job_id) is None:
        queue.enqueue(
            "app.jobs.export",
            org_id,
            mode,
            export_id,
            job_id=job_id,
            job_timeout=LONGEST_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT_SECONDS,
        )
