"""The process of one queue: RQ's worker, which runs each job in its own process."""

import logging
import os
import sys
import time
from typing import cast

import structlog
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.worker import SpawnWorker

from app.adapters.redis import connect
from app.config import Settings
from app.logs import configure

log = structlog.get_logger()

POLL_SECONDS = 0.5
OUTAGE = Retry(ExponentialBackoff(cap=5, base=0.5), retries=10)
"""A job survives a Redis outage of up to 40 seconds."""
CLEANING_SECONDS = 60
"""How often RQ looks for jobs of dead workers, to retry them."""


class QueueWorker(SpawnWorker):
    """RQ's worker, but it runs ``app.worker.job_process`` for each job and stops at once.

    Jobs run in spawned processes because libvips does not survive a fork.
    """

    max_connection_wait_time = 5.0

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Start our own job process: RQ's would lose the TLS settings of the connection and would
        outlive its worker."""
        execution = cast(Execution, self.execution)
        command = [sys.executable, "-m", "app.worker.job_process", str(os.getpid())]
        command += [self.name, queue.name, job.id, execution.id]
        # The environment is passed on, not read. The group is set at the start, because RQ kills
        # the job process by its group.
        self._horse_pid = os.posix_spawn(sys.executable, command, os.environ, setpgroup=0)  # noqa: TID251
        if self._stop_requested:
            self.kill_horse()

    def handle_warm_shutdown_request(self) -> None:
        """Called on SIGTERM. RQ would wait for the job, but our jobs may be killed and are done
        again."""
        if self.horse_pid:
            log.info("worker.job_interrupted", pid=self.horse_pid)
            # RQ would warn about the killed job process.
            logging.getLogger("rq.worker").setLevel(logging.ERROR)
            self.kill_horse()


def work(queue_name: str, settings: Settings) -> None:
    """Work on one queue until SIGTERM."""
    connection = connect(settings, timeout=None)
    _wait_for(connection)
    connection.set_retry(OUTAGE)
    try:
        queue = Queue(queue_name, connection=connection)
        worker = QueueWorker([queue], connection=connection, maintenance_interval=CLEANING_SECONDS)
        worker.work(logging_level="WARNING")
    except RedisError as error:
        log.warning("worker.redis_down", queue=queue_name, error=str(error))


def _wait_for(connection: Redis) -> None:
    """Wait for Redis, which may start later than the worker or be down for a while."""
    told = False
    while True:
        try:
            connection.ping()
        except RedisError as error:
            if not told:
                log.warning("worker.waits_for_redis", error=str(error))
            told = True
            time.sleep(POLL_SECONDS)
        else:
            return


if __name__ == "__main__":
    from_env = Settings.from_env()
    configure(from_env)
    work(sys.argv[1], from_env)
