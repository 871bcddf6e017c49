"""What is counted when requests are refused, and who stands at the top."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from app.web import abuse_counts, limits
from app.web.abuse_counts import Period, Series, top
from tests.client import ApiClient, bearer, client_of
from tests.clock import NOON, Clock
from tests.conftest import Account, AppMaker
from tests.images import encoded
from tests.people import send, visitor_of

ADDRESS = "203.0.113.77"


@pytest.fixture
def redis(app: Flask) -> Redis:
    """With nothing counted yet."""
    connection: Redis = app.extensions["lightwell"].redis
    if keys := connection.keys(f"{abuse_counts.PREFIX}:*"):
        connection.delete(*keys)
    return connection


@pytest.fixture
def visitor(app: Flask, redis: Redis) -> ApiClient:
    client = client_of(app)
    client.environ_base["REMOTE_ADDR"] = ADDRESS
    return client


def counted(redis: Redis, series: Series, period: Period = Period.HOUR) -> list[tuple[str, int]]:
    return [(one.name, one.times) for one in top(redis, period, NOON)[series]]


def test_unknown_keys_and_wrong_passwords_count_for_the_address(
    redis: Redis, visitor: ApiClient, acme: Account
) -> None:
    for key in ("psx_unknown", "psx_other"):
        assert visitor.get("/usage", headers=bearer(key)).status_code == 401
    assert send(visitor, "/login", email=acme.email, password="a guess").status_code == 400
    assert visitor.get("/usage", headers=bearer(acme.key)).status_code == 200
    assert visitor.get("/dashboard").status_code == 303, "who is not signed in is led on"
    for period in Period:
        assert counted(redis, Series.UNKNOWN_ADDRESSES, period) == [(f"{ADDRESS}/32", 3)]


def test_in_ipv6_a_network_counts_as_one(app: Flask, redis: Redis, clock: Clock) -> None:
    for address in ("2001:db8:0:7::1", "2001:db8:0:7::2", "2001:db8:0:7:ffff::"):
        client_of(app).get("/usage", environ_overrides={"REMOTE_ADDR": address})
    assert counted(redis, Series.UNKNOWN_ADDRESSES) == [("2001:db8:0:7::/64", 3)]


def test_refused_requests_count_for_the_organization(
    redis: Redis, visitor: ApiClient, acme: Account, globex: Account
) -> None:
    for account, times in ((acme, 3), (globex, 1)):
        for _ in range(times):
            answer = visitor.get("/api/v1/assets/none", headers=bearer(account.key))
            assert answer.status_code == 404
    names = counted(redis, Series.REFUSED_ORGANIZATIONS)
    assert names == [(acme.org_id, 3), (globex.org_id, 1)]


def test_hostile_files_count_one_by_one(redis: Redis, visitor: ApiClient, acme: Account) -> None:
    """Not those of an unknown format, which people choose by mistake."""
    good, damaged = encoded(width=8, height=8), encoded(width=64, height=64)[:200]
    one = visitor.compress(acme.key, damaged)
    several = visitor.compress(acme.key, damaged, damaged, b"a text", good)
    partial = visitor.compress(acme.key, damaged, good, partial="true")
    assert (one.status_code, several.status_code, partial.status_code) == (422, 422, 200)
    assert counted(redis, Series.HOSTILE_ORGANIZATIONS) == [(acme.org_id, 4)]
    assert counted(redis, Series.HOSTILE_ADDRESSES) == [(f"{ADDRESS}/32", 4)]


def test_registrations_count_by_network_and_know_how_much_is_left(
    make_app: AppMaker, redis: Redis, clock: Clock
) -> None:
    app = make_app(ratelimit_registrations="2/hour;3/day", ratelimit_server_registrations="90/day")
    client = visitor_of(app)
    client.environ_base["REMOTE_ADDR"] = ADDRESS
    server = _server(app)
    answers = [
        client.post("/auth/register", json={"email": email})
        for email in (f"{uuid4().hex}@example.com", "no address", f"{uuid4().hex}@example.com")
    ]
    assert [answer.status_code for answer in answers] == [201, 400, 429]
    assert counted(redis, Series.REGISTRATIONS) == [("203.0.113.0/24", 3)]
    assert counted(redis, Series.LIMITED_ADDRESSES) == [(f"{ADDRESS}/32", 1)]
    with app.app_context():
        rooms = limits.registrations_of(["203.0.113.0/24", "198.51.100.0/24"])
    hour, day = rooms["203.0.113.0/24"]
    assert (hour.used, hour.most, hour.seconds, hour.is_full) == (2, 2, 3600, True)
    assert (day.used, day.most, day.seconds, day.is_full) == (2, 3, 86400, False)
    assert [room.used for room in rooms["198.51.100.0/24"]] == [0, 0]
    assert _server(app) == server + 2


def _server(app: Flask) -> int:
    with app.app_context():
        return limits.registrations_of([])[limits.SERVER][0].used


def test_an_hour_and_a_day_pass(app: Flask, redis: Redis, clock: Clock) -> None:
    client_of(app).get("/usage", environ_overrides={"REMOTE_ADDR": ADDRESS})
    for period, lasts in ((Period.HOUR, timedelta(hours=1)), (Period.DAY, timedelta(days=1))):
        for moment, is_counted in ((NOON + lasts, True), (NOON + lasts * 1.2, False)):
            found = top(redis, period, moment)[Series.UNKNOWN_ADDRESSES]
            assert (found != []) is is_counted, (period, moment)
    kept = {int(redis.ttl(key)) for key in redis.keys(f"{abuse_counts.PREFIX}:*")}
    assert max(kept) <= 26 * 3600
    assert min(kept) > 3600


names = st.sampled_from([f"203.0.113.{last}/32" for last in range(30)])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(
    st.lists(st.tuples(names, st.integers(0, 26 * 60), st.integers(1, 5)), max_size=40),
    st.sampled_from(Period),
)
def test_the_top_is_that_of_all_that_was_counted(
    app: Flask, clock: Clock, redis: Redis, refusals: list[tuple[str, int, int]], period: Period
) -> None:
    """Against a plain sum. Each refusal was some minutes ago."""
    for key in redis.keys(f"{abuse_counts.PREFIX}:*"):
        redis.delete(key)
    expected = Counter[str]()
    for name, minutes, times in refusals:
        moment = NOON - timedelta(minutes=minutes)
        clock.set(moment)
        with app.app_context():
            abuse_counts.count([(Series.LIMITED_ADDRESSES, name)], times)
        # NOON begins a set: all within the period is in whole sets.
        if moment >= NOON - timedelta(seconds=period.seconds * period.sets):
            expected[name] += times
    found = top(redis, period, NOON, listed=10)[Series.LIMITED_ADDRESSES]
    ranked = sorted(expected.items(), key=lambda one: (-one[1], one[0]))
    assert [tuple(one) for one in found] == ranked[:10]


def test_who_comes_often_stays_among_many_who_come_once(
    app: Flask, clock: Clock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = abuse_counts.SCRIPT.replace(b"10000", b"100").replace(b"5000", b"50")
    monkeypatch.setattr(abuse_counts, "SCRIPT", smaller)
    with app.app_context():
        for number in range(500):
            abuse_counts.count([(Series.LIMITED_ADDRESSES, f"10.0.{number // 250}.{number % 250}")])
            if number > 200 and number % 10 == 0:  # long after it was full
                abuse_counts.count([(Series.LIMITED_ADDRESSES, "often")])
    assert counted(redis, Series.LIMITED_ADDRESSES)[0][0] == "often"
    for key in redis.keys(f"{abuse_counts.PREFIX}:*"):
        assert redis.zcard(key) <= 100


def test_counting_never_fails_a_request(
    app: Flask, acme: Account, visitor: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abuse_counts, "SCRIPT", b"return redis.call('no such call')")
    assert visitor.get("/usage", headers=bearer("psx_unknown")).status_code == 401
    assert visitor.get("/api/v1/assets/none", headers=bearer(acme.key)).status_code == 404
