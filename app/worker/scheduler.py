"""The worker's scheduler: enqueues due jobs, and runs tasks that must go on even when the queues
are blocked."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq.cron import CronScheduler
from rq.scheduler import RQScheduler

from app.adapters.queue import (
    COMPARED_DAILY,
    DEFAULT,
    EXPORTS,
    FAILURE_KEPT_SECONDS,
    LONGEST_SECONDS,
    QUEUES,
)
from app.adapters.redis import connect
from app.config import Settings
from app.jobs import PERIODIC, SWEEP_SECONDS, compare_storage, sweep
from app.services import job_runs

log = structlog.get_logger()

ENQUEUE_SECONDS = 1.0
PERIOD_SECONDS = 5.0


class PeriodicTask:
    """Work repeated every ``seconds``. Errors are logged and do not stop it."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._due = 0.0

    def run_if_due(self, now: float) -> None:
        """``now`` is in seconds of a monotonic clock."""
        if now < self._due:
            return
        self._due = now + self._seconds
        try:
            self._work()
        except RedisError as error:
            log.warning("periodic.redis_down", task=self._name, error=str(error))
            self._due = now + PERIOD_SECONDS
        except Exception:
            log.exception("periodic.failed", task=self._name)


class Schedule:
    """Enqueues RQ's timed jobs: cron jobs, scheduled jobs and retries.

    RQ's worker would do this in a forked process, which outlives a killed worker.
    """

    def __init__(self, connection: Redis) -> None:
        self._cron = CronScheduler(connection=connection, logging_level="WARNING")
        self._cron.register(
            sweep,
            queue_name=DEFAULT,
            interval=SWEEP_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT_SECONDS,
        )
        self._cron.register(
            compare_storage,
            queue_name=EXPORTS,
            cron=COMPARED_DAILY,
            job_timeout=LONGEST_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_KEPT_SECONDS,
        )
        # Named after the machine, so that the successor of a killed scheduler need not wait for its
        # lock.
        self._scheduler = RQScheduler(
            QUEUES, connection, logging_level="WARNING", name=socket.gethostname()
        )

    def enqueue_due(self) -> None:
        """Raises RedisError."""
        self._cron.enqueue_jobs()
        self._scheduler.acquire_locks()
        self._scheduler.enqueue_scheduled_jobs()


def start(app: Flask, settings: Settings) -> None:
    """Run the periodic tasks in their own thread for the life of this process."""
    tasks = periodic_tasks(app, Schedule(connect(settings)), PERIODIC)
    threading.Thread(target=_run, args=(tasks,), name="scheduler", daemon=True).start()


def periodic_tasks(
    app: Flask, schedule: Schedule, periodic: Sequence[Callable[[Flask], None]]
) -> list[PeriodicTask]:
    return [
        PeriodicTask("enqueue", ENQUEUE_SECONDS, schedule.enqueue_due),
        *(
            PeriodicTask(work.__name__, PERIOD_SECONDS, partial(_in_context, app, work))
            for work in periodic
        ),
    ]


def _in_context(app: Flask, work: Callable[[Flask], None]) -> None:
    container = app.extensions["lightwell"]
    recorded = job_runs.recorded(container.redis, work.__name__, container.clock)
    with app.app_context(), recorded:
        work(app)


def _run(tasks: Sequence[PeriodicTask]) -> None:
    while True:
        for task in tasks:
            task.run_if_due(time.monotonic())
        time.sleep(ENQUEUE_SECONDS)
