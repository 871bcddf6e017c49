"""The process of one job. ``app.worker.queues`` starts it and checks how it ends."""

import sys

from rq import Queue
from rq.executions import Execution
from rq.job import Job

from app.adapters.redis import connect
from app.config import Settings
from app.lifetime import end_with
from app.logs import configure
from app.worker.queues import OUTAGE, QueueWorker


def work(
    settings: Settings, worker_name: str, queue_name: str, job_id: str, execution_id: str
) -> None:
    """Run one job, which the worker ``worker_name`` has started, and end this process."""
    connection = connect(settings, timeout=None)
    connection.set_retry(OUTAGE)
    queue = Queue(queue_name, connection=connection)
    worker = QueueWorker([queue], worker_name, connection=connection, prepare_for_work=False)
    job = Job.fetch(job_id, connection=connection)
    worker.execution = Execution.fetch(execution_id, job_id, connection=connection)
    worker.main_work_horse(job, queue)


if __name__ == "__main__":
    parent, *names = sys.argv[1:]
    end_with(int(parent))
    from_env = Settings.from_env()
    configure(from_env)
    work(from_env, *names)
