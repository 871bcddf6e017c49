"""The page about health shows what was counted, and each part that is down."""

import time
from threading import Event

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as NotReached

from app.models import StaffRole
from app.services import metrics
from app.web import parts
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient
from tests.clock import Clock
from tests.databases import on_both_databases

HEALTH = "/admin/health"


@pytest.fixture
def redis(app: Flask) -> Redis:
    redis: Redis = app.extensions["lightwell"].redis
    for key in redis.scan_iter(f"{metrics.TOTAL}*"):
        redis.delete(key)
    metrics.OWN.take()
    return redis


@on_both_databases
def test_a_whole_service(app: Flask, make_staff: StaffMaker, redis: Redis) -> None:
    page = make_staff(StaffRole.SUPPORT).get(HEALTH).text
    assert page.count("Works") == 3
    assert "Has room" in page or "Nearly full" in page
    assert "Newest" in page
    assert "Down" not in page
    assert ("PostgreSQL 1" in page) != ("SQLite 3" in page)
    assert "Valkey" in page


def test_the_hour_and_the_day_show_what_was_counted_in_them(
    staff: ApiClient, redis: Redis, clock: Clock
) -> None:
    for _ in range(4):
        metrics.count_request("GET", "/of/long/ago", 500, 0.02, "internal")
    metrics.flush(redis, clock())
    clock.advance(hours=3)
    metrics.count_request("GET", "/of/now/<id>", 404, 0.03, "not_found")
    metrics.count_images("compress", "live", 12_345)
    metrics.sample_ages(redis, {"exports": 240.0}, clock())
    hour = staff.get(HEALTH).text
    assert "/of/now/&lt;id&gt;" in hour
    assert "12,345" in hour
    assert "not_found" in hour
    assert "4 min" in hour
    assert "/of/long/ago" not in hour
    day = staff.get(f"{HEALTH}?hours=24").text
    assert "/of/long/ago" in day
    assert "18 ms" in day  # half of four that took 10 to 25 ms
    assert staff.get(f"{HEALTH}?hours=7").text.count("/of/long/ago") == 0


def test_a_page_without_redis(
    app: Flask, staff: ApiClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise NotReached("gone")

    monkeypatch.setattr(redis, "execute_command", down)
    monkeypatch.setattr(redis, "pipeline", down)
    answer = staff.get(HEALTH)
    assert answer.status_code == 200
    assert answer.text.count("Unknown while Redis is down") == 2
    assert "No figures" in answer.text
    assert answer.text.count("Works") == 2


def test_redis_that_goes_down_midway_breaks_nothing(
    staff: ApiClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise NotReached("gone")

    monkeypatch.setattr("app.admin.health.queue_states", down)
    monkeypatch.setattr("app.admin.health.worker_states", down)
    monkeypatch.setattr("app.services.staff.health.window", down)
    answer = staff.get(HEALTH)
    assert answer.status_code == 200
    assert answer.text.count("Unknown while Redis is down") == 2


def test_a_storage_that_hangs_is_not_waited_for(
    app: Flask, staff: ApiClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = Event()
    monkeypatch.setattr(app.extensions["lightwell"].storage, "check", hangs.wait)
    monkeypatch.setattr(parts, "PATIENCE_SECONDS", 0.2)
    began = time.monotonic()
    page = staff.get(HEALTH).text
    hangs.set()
    assert time.monotonic() - began < 3
    assert page.count("Works") == 2
    assert page.count("Down") == 1
