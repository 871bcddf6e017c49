"""Jobs that failed, without a worker."""

from uuid import uuid4

from redis import Redis
from rq import Queue
from rq.job import JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from app.adapters.queue import DEFAULT


def fail_job(connection: Redis, *arguments: str, trace: str = "Boom", ttl: int = 3600) -> str:
    """Enqueue a job and have it failed, as RQ does. Returns its id."""
    queue = Queue(DEFAULT, connection=connection)
    job = queue.enqueue("app.jobs.mails", *arguments, job_id=f"mails-{uuid4().hex}")
    queue.remove(job)
    job.set_status(JobStatus.FAILED)
    FailedJobRegistry(DEFAULT, connection).add(job, ttl=ttl, exc_string=trace)
    Result.create_failure(job, ttl, trace)
    return job.id
