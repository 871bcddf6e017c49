"""The worker process: an RQ worker, and the clock that enqueues what is due."""

import threading
import time

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.cron import CronScheduler
from rq.worker import SpawnWorker

from app.adapters.redis import connect
from app.config import Settings
from app.jobs import QUEUES, SWEEP_SECONDS, sweep
from app.logs import configure

log = structlog.get_logger()
REDIS_PATIENCE_SECONDS = 60


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Jobs run in spawned processes, because libvips does not survive a fork."""
    connection = connect(settings, timeout=None)
    _wait_for(connection)
    threading.Thread(target=_tick, args=(connect(settings),), daemon=True).start()
    SpawnWorker([Queue(name, connection=connection) for name in QUEUES], connection=connection).work(
        with_scheduler=True, logging_level="WARNING"
    )


def _tick(connection: Redis) -> None:
    cron = CronScheduler(connection=connection, logging_level="WARNING")
    cron.register(sweep, queue_name=QUEUES[0], interval=SWEEP_SECONDS, result_ttl=0)
    while True:
        try:
            cron.enqueue_jobs()
        except RedisError as error:
            log.warning("cron.redis_down", error=str(error))
        time.sleep(max(1.0, cron.calculate_sleep_interval()))


def _wait_for(connection: Redis) -> None:
    """Redis may start a moment later than the worker does."""
    deadline = time.monotonic() + REDIS_PATIENCE_SECONDS
    while True:
        try:
            connection.ping()
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    from_env = Settings.from_env()
    configure(from_env)
    run(from_env)
