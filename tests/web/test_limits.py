"""Who may ask how often, and what the headers say of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from flask import Flask
from flask_limiter import Limiter
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import parse
from limits.storage import RedisStorage

from app.models import Mode
from app.web import bucket
from dev.ports import free_port
from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.clock import real_now
from tests.conftest import Account, AccountMaker, AppMaker, KeyMaker
from tests.services.billing.faults import alarms


class StillClock:
    """Time that passes only when it is told to, from now on, which is where Redis stands."""

    def __init__(self) -> None:
        self.moment = real_now()

    def __call__(self) -> datetime:
        return self.moment

    def time(self) -> float:
        return self.moment.timestamp()

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def still(app: Flask, monkeypatch: pytest.MonkeyPatch) -> StillClock:
    """For buckets, which ask the application's clock, and for windows, which ask Python's."""
    clock = StillClock()
    monkeypatch.setattr("limits.storage.redis.time", clock)
    monkeypatch.setitem(
        app.extensions, "lightwell", replace(app.extensions["lightwell"], clock=clock)
    )
    return clock


def statuses(client: ApiClient, key: str, times: int, path: str = "/usage") -> list[int]:
    return [client.get(path, headers=bearer(key)).status_code for _ in range(times)]


# ── live keys ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("plan", "rate"), [("FREE", 2), ("TEAM", 3), ("BUSINESS", 10)])
def test_ten_seconds_of_a_plan_s_rate_may_come_at_once(
    client: ApiClient, make_account: AccountMaker, still: StillClock, plan: str, rate: int
) -> None:
    key = make_account(plan=plan).key
    assert statuses(client, key, 10 * rate) == [200] * 10 * rate
    refused = client.get("/usage", headers=bearer(key))
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == f'"key";q={10 * rate};w=10'
    assert refused.headers["RateLimit"] == '"key";r=0;t=1'
    still.advance(seconds=1)
    assert statuses(client, key, rate + 1) == [200] * rate + [429]
    still.advance(seconds=3600)
    assert statuses(client, key, 10 * rate + 1) == [200] * 10 * rate + [429]


def test_after_a_burst_the_plan_s_steady_rate_passes_for_as_long_as_one_likes(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    """What no window of so many requests does: this one would refuse from the fifth second to the
    tenth."""
    key = make_account(plan="FREE").key
    assert statuses(client, key, 20) == [200] * 20
    for _ in range(60):
        still.advance(seconds=0.5)
        assert statuses(client, key, 1) == [200]
    assert statuses(client, key, 1) == [429]


def test_a_dozen_parallel_calls_pass_and_never_more_than_the_bucket_holds(
    app: Flask, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="FREE").key

    def ask(_: int) -> int:
        return client_of(app).get("/usage", headers=bearer(key)).status_code

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(ask, range(12))) == [200] * 12
        assert sorted(threads.map(ask, range(40))) == [200] * 8 + [429] * 32


def test_a_clock_that_is_behind_neither_fills_nor_empties(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="FREE").key
    assert statuses(client, key, 18) == [200] * 18
    still.advance(seconds=-5)
    assert statuses(client, key, 1) == [200]
    still.advance(seconds=5)
    assert statuses(client, key, 2) == [200, 429]


def test_the_bucket_is_one_for_all_surfaces_of_a_key(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="FREE").key
    for path in ("/usage", "/v1/images"):
        assert statuses(client, key, 9, path) == [200] * 9
    assert client.post("/billing/portal", headers=bearer(key)).status_code == 501
    assert client.get("/api/v1/assets", headers=bearer(key)).status_code == 402
    assert client.get("/usage", headers={"x-api-key": key}).status_code == 429


def test_compress_says_rate_limited_where_only_the_rate_is_reached(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    """Its clients take 429 for a month that is used up: the code and ``Retry-After`` tell the two
    apart."""
    key = make_account(plan="FREE").key
    statuses(client, key, 20)
    refused = client.post("/compress/batch", headers=bearer(key))
    assert (refused.status_code, refused.json["code"], refused.headers["Retry-After"]) == (
        429,
        "rate_limited",
        "1",
    )
    assert refused.json["error"].startswith(
        "Too many requests: the limit is 20 per 10 seconds for one key."
    )


def test_the_workspace_s_seconds_are_counted_by_the_second(
    client: ApiClient, make_account: AccountMaker, make_key: KeyMaker, still: StillClock
) -> None:
    account = make_account(plan="TEAM")
    answers = [client.get("/api/v1/assets", headers=bearer(account.key)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=1'
    others = [make_key(account) for _ in range(5)]
    served = [status for key in others for status in statuses(client, key, 3, "/api/v1/assets")]
    assert served == [200] * 12 + [429] * 3
    still.advance(seconds=1.001)
    assert statuses(client, account.key, 4, "/api/v1/assets") == [200] * 3 + [429]


def test_what_is_fetched_on_one_surface_is_missing_on_the_other(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="TEAM").key
    assert statuses(client, key, 28) == [200] * 28
    assert statuses(client, key, 2, "/api/v1/assets") == [200] * 2
    refused = client.get("/api/v1/assets", headers=bearer(key))
    assert refused.status_code == 429
    assert refused.headers["RateLimit-Policy"] == '"key";q=30;w=10', (
        "that which refused, not the second that is over"
    )
    assert refused.headers["Retry-After"] == "1"


def test_what_a_second_refuses_takes_nothing_from_the_bucket(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="TEAM").key
    assert statuses(client, key, 30, "/api/v1/assets") == [200] * 3 + [429] * 27
    assert client.get("/usage", headers=bearer(key)).headers["X-RateLimit-Remaining"] == "26"


def test_an_organization_s_keys_together_have_five_times_what_one_has(
    client: ApiClient, make_account: AccountMaker, make_key: KeyMaker, still: StillClock
) -> None:
    account = make_account(plan="FREE")
    keys = [account.key, *(make_key(account) for _ in range(7))]
    assert [status for key in keys for status in statuses(client, key, 20)] == [200] * 100 + [
        429
    ] * 60
    refused = client.get("/usage", headers=bearer(make_key(account)))
    assert refused.headers["RateLimit-Policy"] == '"organization";q=100;w=10'
    assert refused.headers["Retry-After"] == "1"
    still.advance(seconds=1)
    fresh = make_key(account)
    assert statuses(client, fresh, 11) == [200] * 10 + [429]
    assert statuses(client, account.test_key, 1) == [200]
    assert statuses(client, make_account(plan="FREE").key, 1) == [200]


def test_headers_tell_of_the_limit_that_is_nearest_to_refusing(
    client: ApiClient, make_account: AccountMaker, make_key: KeyMaker, still: StillClock
) -> None:
    account = make_account(plan="FREE")
    for key in (make_key(account) for _ in range(4)):
        statuses(client, key, 20)
    answers = [
        client.get("/usage", headers=bearer(key)) for key in (make_key(account), account.key)
    ]
    policies = ['"key";q=20;w=10', '"organization";q=100;w=10']
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == policies
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"key";r=19;t=1',
        '"organization";r=18;t=1',
    ]
    assert answers[1].headers["X-RateLimit-Remaining"] == "18"


def test_a_plan_change_holds_from_the_next_request_on(
    app: Flask, client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE")
    assert client.get("/usage", headers=bearer(account.key)).headers["X-RateLimit-Limit"] == "20"
    app.test_cli_runner().invoke(args=["orgs", "set-plan", account.email, "BUSINESS"])
    assert client.get("/usage", headers=bearer(account.key)).headers["X-RateLimit-Limit"] == "100"


def test_every_answer_tells_what_is_left(
    client: ApiClient, acme: Account, still: StillClock
) -> None:
    began = real_now().timestamp()
    for answer, left in (
        (client.get("/usage", headers=bearer(acme.key)), "999"),
        (client.post("/compress/batch", headers=bearer(acme.key)), "998"),
    ):
        assert answer.headers["RateLimit-Policy"] == '"key";q=1000;w=10'
        assert answer.headers["X-RateLimit-Limit"] == "1000"
        assert answer.headers["X-RateLimit-Remaining"] == left
        assert began <= int(answer.headers["X-RateLimit-Reset"]) <= real_now().timestamp() + 2
        assert "Retry-After" not in answer.headers


# ── test keys, rotation ───────────────────────────────────────────────────────────────────────────


def test_test_keys_have_ten_a_minute_on_any_plan(
    client: ApiClient, acme: Account, still: StillClock
) -> None:
    answers = [client.get("/usage", headers=bearer(acme.test_key)) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["RateLimit-Policy"] == '"key";q=10;w=60'
    assert 50 <= int(answers[-1].headers["Retry-After"]) <= 61
    still.advance(seconds=60.001)
    assert statuses(client, acme.test_key, 11) == [200] * 10 + [429]


def test_an_organization_s_test_keys_together_have_fifty(
    client: ApiClient, acme: Account, make_key: KeyMaker
) -> None:
    keys = [make_key(acme, Mode.TEST, "test_") for _ in range(6)]
    assert [status for key in keys for status in statuses(client, key, 10)] == [200] * 50 + [
        429
    ] * 10
    refused = client.get("/usage", headers=bearer(acme.test_key))
    assert refused.headers["RateLimit-Policy"] == '"organization";q=50;w=60'
    assert statuses(client, acme.key, 1) == [200]


def rotated(client: ApiClient, key: str) -> str:
    answer = client.post("/auth/rotate-key", headers=bearer(key))
    assert answer.status_code == 200, answer.json
    return answer.json["apiKey"]


def test_a_rotated_test_key_goes_on_where_the_old_one_stopped(
    client: ApiClient, acme: Account
) -> None:
    assert statuses(client, acme.test_key, 4) == [200] * 4
    key = rotated(client, rotated(client, acme.test_key))
    assert statuses(client, key, 5) == [200] * 4 + [429]
    refused = client.post("/auth/rotate-key", headers=bearer(key))
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")


def test_a_rotated_live_key_goes_on_where_the_old_one_stopped(
    client: ApiClient, make_account: AccountMaker, still: StillClock
) -> None:
    key = make_account(plan="FREE").key
    for _ in range(3):
        assert statuses(client, key, 4) == [200] * 4
        key = rotated(client, key)
    assert statuses(client, key, 6) == [200] * 5 + [429]


def test_an_organization_rotates_five_keys_a_minute(
    client: ApiClient, acme: Account, globex: Account, make_key: KeyMaker
) -> None:
    reading = make_key(acme, scopes=("read",))
    for _ in range(6):
        assert client.post("/auth/rotate-key", headers=bearer(reading)).status_code == 403
    key = acme.key
    for _ in range(4):
        key = rotated(client, key)
    rotated(client, acme.test_key)
    for other in (key, make_key(acme)):
        refused = client.post("/auth/rotate-key", headers=bearer(other))
        assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
        assert refused.headers["RateLimit-Policy"] == '"rotations";q=5;w=60'
        assert 50 <= int(refused.headers["Retry-After"]) <= 61
    assert statuses(client, key, 1) == [200]
    rotated(client, globex.key)


# ── without a key ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def strict_app(make_app: AppMaker) -> Flask:
    return make_app(ratelimit_anonymous="3/minute")


def from_address(address: str) -> dict[str, object]:
    return {"environ_base": {"REMOTE_ADDR": address}}


def test_without_a_key_the_address_is_limited(strict_app: Flask) -> None:
    client = client_of(strict_app)

    def status(address: str, **options: object) -> int:
        return client.get("/usage", **from_address(address), **options).status_code

    assert [status("203.0.113.9") for _ in range(4)] == [401, 401, 401, 429]
    assert status("203.0.113.9", headers=bearer("psx_guess")) == 429
    assert status("203.0.113.8") == 401
    assert [status(f"2001:db8:1:1::{n}") for n in range(4)] == [401, 401, 401, 429]
    assert status("2001:db8:1:2::1") == 401
    assert status("::ffff:203.0.113.9") == 429
    assert [status("unix:") for n in range(4)] == [401, 401, 401, 429]


def test_pages_and_health_checks_are_not_limited(strict_app: Flask) -> None:
    client = client_of(strict_app)
    for path in ("/healthz", "/docs/errors", "/openapi.json"):
        answers = [client.get(path, **from_address("192.0.2.1")) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers


Register = Callable[..., Ask]


@pytest.fixture
def register(make_app: AppMaker) -> Register:
    """Open accounts at a server with the registration limits of the default, or others, counted
    from nothing."""

    def server(**settings: str) -> Ask:
        return partial(
            register_at, make_app(**{"ratelimit_registrations": "10/hour;20/day", **settings})
        )

    return server


def register_at(app: Flask, address: str, email: str | None = None) -> Answer:
    body = {"email": email or new_email()}
    return client_of(app).post("/auth/register", json=body, **from_address(address))


def new_email() -> str:
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def small_app(make_app: AppMaker) -> Flask:
    """The amount is its own, for the server's count is one for all applications on a Valkey."""
    return make_app(ratelimit_registrations="9/hour", ratelimit_server_registrations="7/day")


def test_a_network_opens_ten_accounts_an_hour(
    register: Register,
) -> None:
    ask = register()
    assert [ask(f"192.0.2.{n}").status_code for n in range(11)] == [201] * 10 + [429]
    refused = ask("192.0.2.250")
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert refused.headers["RateLimit-Policy"] == '"registrations";q=10;w=3600'
    assert 3500 <= int(refused.headers["Retry-After"]) <= 3601
    assert ask("192.0.3.1").status_code == 201
    assert [ask(f"2001:db8:7:7:{n}::1").status_code for n in range(11)] == [201] * 10 + [429]
    assert ask("2001:db8:7:8::1").status_code == 201


def test_both_windows_of_registrations_hold(register: Register) -> None:
    """The day's is reached first where the hour's is wider."""
    ask = register(ratelimit_registrations="5/hour;3/day")
    answers = [ask("198.18.0.1") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429]
    assert answers[-1].headers["RateLimit-Policy"] == '"registrations";q=3;w=86400'


def test_attempts_count_and_so_does_asking_who_has_an_account(
    register: Register,
) -> None:
    ask = register(ratelimit_registrations="3/hour")
    email = new_email()
    assert [ask("198.18.1.1", email).status_code for _ in range(4)] == [201, 409, 409, 429]


def test_parallel_registrations_never_pass_the_limit(
    register: Register,
) -> None:
    ask = register()
    with ThreadPoolExecutor(8) as threads:
        found = sorted(threads.map(lambda n: ask(f"198.18.2.{n}").status_code, range(24)))
    assert found == [201] * 10 + [429] * 14


def test_the_server_opens_so_many_accounts_a_day_and_says_when_it_is_enough(
    small_app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    ask = partial(register_at, small_app)
    answers = [ask(f"198.18.{n + 10}.1") for n in range(8)]
    assert [answer.status_code for answer in answers] == [201] * 7 + [429]
    assert answers[-1].headers["RateLimit-Policy"] == '"server";q=7;w=86400'
    told = [alarm["event"] for alarm in alarms(caplog)]
    assert told == ["registrations.server_limit"]
    policies = [ask("198.18.20.1").headers["RateLimit-Policy"] for _ in range(10)]
    assert policies == ['"server";q=7;w=86400'] * 9 + ['"registrations";q=9;w=3600']


# ── the bucket itself ─────────────────────────────────────────────────────────────────────────────


def test_the_limiter_takes_the_strategy_from_where_we_have_put_it() -> None:
    limiter = Limiter(lambda: "", strategy=bucket.STRATEGY, storage_uri="redis://127.0.0.1:1")
    limiter.init_app(Flask(__name__))
    assert isinstance(limiter.limiter, bucket.TokenBucket)


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(1, 30),
    window=st.integers(1, 20),
    waits=st.lists(st.integers(0, 4000), min_size=1, max_size=60),
)
def test_a_bucket_lets_through_what_it_holds_and_what_flows_in(
    redis_url: str, sqlite_app: Flask, capacity: int, window: int, waits: list[int]
) -> None:
    """Against exact arithmetic in thousandths of a request, wait by wait, milliseconds each."""
    clock = StillClock()
    tools, storage = (
        replace(sqlite_app.extensions["lightwell"], clock=clock),
        RedisStorage(redis_url),
    )
    with (
        sqlite_app.app_context(),
        closing(storage.get_connection()),  # type: ignore[type-var]  # it is a Redis
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setitem(sqlite_app.extensions, "lightwell", tools)
        strategy, item, name = (
            bucket.TokenBucket(storage),
            parse(f"{capacity} per {window} seconds"),
            uuid4().hex,
        )
        unit = window * 1000
        left = full = capacity * unit
        for wait in waits:
            clock.moment += timedelta(milliseconds=wait)
            left = min(full, left + wait * capacity)
            assert strategy.get_window_stats(item, name).remaining == left // unit
            assert strategy.test(item, name) == (left >= unit)
            assert strategy.hit(item, name) == (left >= unit)
            left -= unit if left >= unit else 0


# ── without Redis ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def app_without_redis(make_app: AppMaker) -> Flask:
    return make_app(redis_url=f"redis://127.0.0.1:{free_port()}/0")


def test_with_redis_down_reads_go_on_and_writes_are_503_at_once(
    app_without_redis: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    run, client = app_without_redis.test_cli_runner(), client_of(app_without_redis)
    run.invoke(args=["users", "create", "patient@example.com"])
    key = run.invoke(args=["keys", "create", "patient@example.com"]).stdout.strip()
    began = time.monotonic()
    refused = client.post("/auth/register", json={"email": "a@example.com"})
    assert (refused.status_code, refused.json["code"]) == (503, "dependency_down")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (
        client.get("/api/v1/assets", headers=bearer(key)).status_code == 402
    )  # a path of windows and buckets both
    told = [alarm["event"] for alarm in alarms(caplog)]
    assert told == ["limits.redis_down"] * 2, "one wait for Redis a request"
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["redis"], ready.json["database"]) == (
        503,
        "unavailable",
        "ok",
    )
    assert time.monotonic() - began < 4
