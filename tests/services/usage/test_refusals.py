"""Refused requests are counted by organization, day, mode and code, across the deaths of sweeps."""

from datetime import date

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisDown

from app.extensions import transaction
from app.models import Mode
from app.services.usage import refusals
from app.services.usage.refusals import Refused
from tests.client import ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account
from tests.databases import on_both_databases

pytestmark = on_both_databases
TODAY = NOON.date()


@pytest.fixture
def redis(app: Flask) -> Redis:
    redis: Redis = app.extensions["lightwell"].redis
    redis.delete(refusals.COUNTED, refusals.MOVING, refusals.LOCK)
    return redis


def totals(app: Flask, account: Account, mode: Mode = Mode.LIVE) -> list[Refused]:
    with app.app_context(), transaction(account.org_id) as session:
        return refusals.totals(session, mode, TODAY, TODAY)


def flush(app: Flask, redis: Redis) -> int:
    with app.app_context():
        return refusals.flush(redis)


def test_refusals_of_keys_are_counted(
    app: Flask, client: ApiClient, acme: Account, globex: Account, redis: Redis
) -> None:
    unknown = "/v1/images/image_unknown"
    for _ in range(3):
        client.get(unknown, headers=bearer(acme.key))
    client.post("/v1/images", headers=bearer(acme.key), json={})
    client.get(unknown, headers=bearer(acme.test_key))
    client.get(unknown)
    client.get(unknown, headers=bearer("psx_wrong"))
    client.get("/usage", headers=bearer(globex.key))
    assert flush(app, redis) == 5
    client.get(unknown, headers=bearer(acme.key))
    assert flush(app, redis) == 1
    assert flush(app, redis) == 0
    assert totals(app, acme) == [Refused("not_found", 4), Refused("bad_request", 1)]
    assert totals(app, acme, Mode.TEST) == [Refused("not_found", 1)]
    assert totals(app, globex) == []


def test_what_a_killed_sweep_left_is_moved_by_the_next(
    app: Flask, acme: Account, redis: Redis, clock: Clock
) -> None:
    refusals.count(redis, acme.org_id, Mode.LIVE, "not_found", clock())
    redis.rename(refusals.COUNTED, refusals.MOVING)
    refusals.count(redis, acme.org_id, Mode.LIVE, "not_found", clock())
    assert flush(app, redis) == 2
    assert totals(app, acme) == [Refused("not_found", 2)]


def test_one_sweep_moves_at_a_time(app: Flask, acme: Account, redis: Redis, clock: Clock) -> None:
    refusals.count(redis, acme.org_id, Mode.LIVE, "not_found", clock())
    with redis.lock(refusals.LOCK, timeout=60):
        assert flush(app, redis) == 0
    assert flush(app, redis) == 1


def test_counts_of_a_deleted_organization_hinder_no_others(
    app: Flask, acme: Account, redis: Redis, clock: Clock
) -> None:
    for org_id in ("org_gone", acme.org_id):
        refusals.count(redis, org_id, Mode.LIVE, "not_found", clock())
    assert flush(app, redis) == 1
    assert not redis.exists(refusals.MOVING)
    assert totals(app, acme) == [Refused("not_found", 1)]


def test_days_are_kept_apart(app: Flask, acme: Account, redis: Redis, clock: Clock) -> None:
    for _ in range(2):
        refusals.count(redis, acme.org_id, Mode.LIVE, "not_found", clock())
        clock.advance(days=1)
    flush(app, redis)
    with app.app_context(), transaction(acme.org_id) as session:
        both = refusals.totals(session, Mode.LIVE, TODAY, date.max)
    assert both == [Refused("not_found", 2)]
    assert totals(app, acme) == [Refused("not_found", 1)]


def test_an_answer_comes_without_the_count_when_redis_is_down(
    client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_arguments: object) -> None:
        raise RedisDown("gone")

    monkeypatch.setattr(refusals, "count", down)
    answer = client.get("/v1/images/image_unknown", headers=bearer(acme.key))
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
