"""Requests with a key are logged: within bounds, once, and nothing that is nobody's business."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app.extensions import transaction
from app.models import Organization, RequestEntry, new_id
from app.services import request_log
from app.services.request_log import Entry, Pending
from app.services.sweep import sweep
from app.tenancy import unscoped
from tests.client import ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases


@pytest.fixture
def redis(app: Flask) -> Iterator[Redis]:
    redis: Redis = app.extensions["lightwell"].redis
    redis.delete(request_log.WAITING, request_log.MOVING, request_log.LOCK)
    request_log.OWN.take()
    yield redis
    redis.delete(request_log.WAITING, request_log.MOVING, request_log.LOCK)


def entry(account: Account | None = None, **changes: object) -> Entry:
    plain = Entry(
        org_id=account.org_id if account else "org_a",
        id=new_id("req", NOON),
        key_id="key_a",
        mode="live",
        method="GET",
        route="/usage",
        status=200,
        code=None,
        milliseconds=3,
        bytes_in=None,
        bytes_out=12,
        created_at=NOON.isoformat(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names fields


def put(redis: Redis, *entries: Entry) -> None:
    with redis.pipeline() as pipeline:
        request_log.write(pipeline, entries)
        pipeline.execute()


def move(app: Flask, redis: Redis) -> int:
    with app.app_context():
        return request_log.move(redis)


def logged(app: Flask, account: Account) -> list[RequestEntry]:
    with app.app_context(), transaction(account.org_id) as session:
        return list(session.scalars(select(RequestEntry).order_by(RequestEntry.id)))


@on_both_databases
def test_requests_with_a_key_are_logged_and_those_without_are_not(
    app: Flask, client: ApiClient, acme: Account, redis: Redis
) -> None:
    client.get("/usage", headers=bearer(acme.key))
    refused = client.get("/v1/images/image_secret", headers=bearer(acme.test_key))
    client.get("/usage")
    client.get("/usage", headers=bearer("psx_wrong"))
    client.get("/plans")
    app.extensions["lightwell.measures"].flush()
    assert move(app, redis) == 2
    well, badly = logged(app, acme)
    assert (well.method, well.route, well.status, well.code) == ("GET", "/usage", 200, None)
    assert well.bytes_out
    assert well.created_at >= NOON
    assert badly.id == refused.headers["X-Request-Id"]
    assert (badly.mode, badly.route) == ("test", "/v1/images/<id>")
    assert (badly.status, badly.code) == (404, "not_found")
    everything = json.dumps([str(vars(one)) for one in (well, badly)])
    assert "image_secret" not in everything
    assert acme.key not in everything


@on_both_databases
def test_a_sweep_that_was_killed_begins_again_without_doubling(
    app: Flask, acme: Account, globex: Account, redis: Redis
) -> None:
    put(redis, entry(acme), entry(globex))
    left = redis.lrange(request_log.WAITING, 0, -1)
    assert move(app, redis) == 2
    redis.rpush(request_log.MOVING, *left)  # as if it had been killed before it took them off
    put(redis, entry(acme))
    assert move(app, redis) == 1
    assert (len(logged(app, acme)), len(logged(app, globex))) == (2, 1)
    assert redis.llen(request_log.MOVING) == redis.llen(request_log.WAITING) == 0


@on_both_databases
def test_an_organization_that_is_gone_hinders_nobody(
    app: Flask, acme: Account, redis: Redis
) -> None:
    put(redis, entry(org_id="org_gone"), entry(acme))
    assert move(app, redis) == 1
    assert len(logged(app, acme)) == 1


@on_both_databases
def test_an_organization_keeps_its_newest(
    app: Flask,
    acme: Account,
    globex: Account,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "KEPT_OF_AN_ORGANIZATION", 3)
    monkeypatch.setattr(request_log, "BATCH", 4)
    monkeypatch.setattr(request_log, "ROWS", 2)
    entries = [entry(acme, id=f"req_{acme.org_id[-8:]}{number}") for number in range(9)]
    put(redis, entry(globex), *entries)
    assert move(app, redis) == 10
    assert [one.id for one in logged(app, acme)] == [one.id for one in entries[-3:]]
    assert len(logged(app, globex)) == 1


@on_both_databases
def test_entries_go_after_thirty_days(
    app: Flask, make_account: AccountMaker, redis: Redis, clock: Clock
) -> None:
    account = make_account()
    old = (NOON - request_log.KEPT - timedelta(seconds=1)).isoformat()
    young = entry(account, created_at=(NOON - request_log.KEPT + timedelta(hours=1)).isoformat())
    put(redis, entry(account, created_at=old), young)
    move(app, redis)
    container = app.extensions["lightwell"]
    with app.app_context():
        swept = sweep(container.storage, container.settings.spool_dir, clock())
    assert swept["requests"] >= 1
    assert [one.id for one in logged(app, account)] == [young.id]
    with app.app_context(), transaction() as session, unscoped(session, "a test looks"):
        assert session.scalar(select(func.count()).select_from(Organization))


def test_refused_requests_have_room_when_others_have_none_left() -> None:
    pending = Pending()
    kept = [pending.add(entry(id=str(number))) for number in range(request_log.A_MINUTE)]
    assert sum(kept) == request_log.A_MINUTE // 2
    refused = [pending.add(entry(code="rate_limited")) for _ in range(request_log.A_MINUTE)]
    assert sum(refused) == request_log.A_MINUTE // 2
    assert pending.add(entry(org_id="org_b"))
    assert pending.add(entry(created_at=(NOON + timedelta(minutes=1)).isoformat()))
    assert len(pending.take()) == request_log.A_MINUTE + 2
    assert pending.take() == []


def test_memory_and_the_list_in_redis_are_bounded(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = Pending()
    newest = entry(org_id="org_newest")
    pending.add(newest)
    pending.put_back([entry() for _ in range(request_log.MOST_IN_MEMORY)])
    kept = pending.take()
    assert len(kept) == request_log.MOST_IN_MEMORY
    assert kept[-1] == newest
    monkeypatch.setattr(request_log, "MOST_WAITING", 2)
    put(redis, entry(), entry(), newest)
    waiting = redis.lrange(request_log.WAITING, 0, -1)
    assert len(waiting) == 2
    assert json.loads(waiting[-1]) == asdict(newest)
