"""The last run of each job is remembered, whatever came of it."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisDown

from app.services import job_runs
from app.worker.scheduler import Schedule, periodic_tasks
from tests.clock import NOON, Clock


@pytest.fixture
def redis(app: Flask) -> Redis:
    redis: Redis = app.extensions["lightwell"].redis
    redis.delete(job_runs.RUNS)
    return redis


def test_the_last_run_stands_in_place_of_the_one_before(redis: Redis, clock: Clock) -> None:
    for result in ("removed 3 answers", "removed nothing"):
        with job_runs.recorded(redis, "sweep", clock) as outcome:
            outcome.result = result
            clock.advance(seconds=2)
    with job_runs.recorded(redis, "mails", clock):
        pass
    mails, sweep = job_runs.last_runs(redis)
    assert (mails.name, mails.result, mails.failed) == ("mails", "done", False)
    assert (sweep.name, sweep.result, sweep.failed) == ("sweep", "removed nothing", False)
    assert sweep.began - NOON >= timedelta(seconds=2)
    assert timedelta(seconds=2) <= sweep.took < timedelta(seconds=3)


def test_a_failure_is_told_by_its_kind_alone(redis: Redis, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), job_runs.recorded(redis, "sweep", clock):
        raise ZeroDivisionError("a secret")
    [run] = job_runs.last_runs(redis)
    assert (run.result, run.failed) == ("ZeroDivisionError", True)


def test_a_job_runs_without_redis(
    redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise RedisDown("gone")

    monkeypatch.setattr(redis, "hset", down)
    with job_runs.recorded(redis, "sweep", clock):
        pass
    assert job_runs.last_runs(redis) == []


def test_the_worker_s_own_tasks_are_remembered_too(app: Flask, redis: Redis) -> None:
    def resume_something(_app: Flask) -> None:
        """Finds nothing to do."""

    for task in periodic_tasks(app, Schedule(redis), [resume_something])[1:]:
        task.run_if_due(1.0)
    assert [run.name for run in job_runs.last_runs(redis)] == ["resume_something"]
