"""No job waits where nobody looks."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from inspect import isfunction
from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis
from rq import Queue

from app import jobs
from app.adapters.queue import (
    enqueue_billing,
    enqueue_data_export,
    enqueue_deletions,
    enqueue_export,
    enqueue_mails,
    enqueue_reconcile,
)
from app.worker import __main__ as worker
from app.worker.scheduler import Schedule
from tests.clock import real_now
from tests.conftest import ROOT


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    """To an empty database that nobody else uses."""
    with Redis.from_url(redis_url.removesuffix("/0") + "/2") as connection:
        connection.flushdb()
        yield connection
        connection.flushdb()


def test_the_procfile_starts_the_worker() -> None:
    procfile = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert set(procfile) == {"release", "web", "worker"}
    assert procfile["worker"] == "python -m app.worker"


def test_the_worker_serves_every_queue(
    app: Flask, connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts a process for each queue that anything of ours enqueues to, and every kind of job
    is enqueued here."""
    enqueue_export(connection, "org", "live", "exp", "exp-0")
    enqueue_data_export(connection, "org", "data", "data-0")
    enqueue_deletions(connection)
    enqueue_billing(connection)
    enqueue_mails(connection)
    enqueue_reconcile(connection)
    schedule = Schedule(connection)
    monkeypatch.setattr("rq.cron.now", lambda: real_now() + timedelta(days=1))
    schedule.enqueue_due()
    queues = Queue.all(connection=connection)
    kinds = {
        f"{jobs.__name__}.{name}"
        for name, one in vars(jobs).items()
        if isfunction(one) and one.__module__ == jobs.__name__ and one not in jobs.PERIODIC
    }
    assert {job.func_name for queue in queues for job in queue.jobs} == kinds

    kept: dict[str, list[str]] = {}
    monkeypatch.setattr(
        worker, "Settings", SimpleNamespace(from_env=lambda: app.extensions["lightwell"].settings)
    )
    monkeypatch.setattr(worker, "create_app", lambda _: app)
    monkeypatch.setattr(worker, "configure", lambda _: None)
    monkeypatch.setattr(worker, "scheduler", SimpleNamespace(start=lambda *_: None))
    monkeypatch.setattr(worker, "keep_running", lambda processes: kept.update(processes) or 0)
    assert worker.main() == 0
    assert kept == {
        queue.name: [sys.executable, "-m", "app.worker.queues", queue.name] for queue in queues
    }
