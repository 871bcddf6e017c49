"""Requests per second and what the headers say of them."""

import time

import pytest

from app.serve import free_port
from tests.client import bearer
from tests.clock import real_now


@pytest.mark.parametrize(("plan", "rate"), [("FREE", 2), ("TEAM", 3), ("BUSINESS", 10)])
def test_each_plan_has_its_rate(client, make_account, plan, rate) -> None:
    key = make_account(plan=plan).key
    answers = [client.get("/usage", headers=bearer(key)) for _ in range(rate + 1)]
    assert [answer.status_code for answer in answers] == [200] * rate + [429]
    refused = answers[-1]
    assert refused.json["code"] == "rate_limited"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == f'"default";q={rate};w=1'
    assert refused.headers["RateLimit"] == '"default";r=0;t=1'


def test_test_keys_have_ten_a_minute_on_any_plan(client, acme) -> None:
    answers = [client.get("/usage", headers=bearer(acme.test_key)) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["RateLimit-Policy"] == '"default";q=10;w=60'
    assert 50 <= int(answers[-1].headers["Retry-After"]) <= 61


def test_the_limit_is_one_for_all_endpoints_of_a_key_and_apart_for_each_key(client, make_account, make_key) -> None:
    account = make_account(plan="FREE")
    assert client.get("/usage", headers=bearer(account.key)).status_code == 200
    assert client.post("/billing/portal", headers=bearer(account.key)).status_code == 501
    assert client.get("/usage", headers={"x-api-key": account.key}).status_code == 429
    assert client.get("/usage", headers=bearer(make_key(account))).status_code == 200


def test_a_plan_change_holds_from_the_next_request_on(app, client, make_account) -> None:
    account = make_account(plan="FREE")
    assert client.get("/usage", headers=bearer(account.key)).headers["X-RateLimit-Limit"] == "2"
    app.test_cli_runner().invoke(args=["orgs", "set-plan", account.email, "BUSINESS"])
    assert client.get("/usage", headers=bearer(account.key)).headers["X-RateLimit-Limit"] == "10"


def test_every_answer_tells_what_is_left(client, acme) -> None:
    for answer in (
        client.get("/usage", headers=bearer(acme.key)),
        client.post("/compress/batch", headers=bearer(acme.key)),
    ):
        assert answer.headers["RateLimit-Policy"] == '"default";q=100;w=1'
        assert answer.headers["X-RateLimit-Limit"] == "100"
        assert 0 <= int(answer.headers["X-RateLimit-Remaining"]) < 100
        assert 0 <= int(answer.headers["X-RateLimit-Reset"]) - real_now().timestamp() <= 3
        assert "Retry-After" not in answer.headers


@pytest.fixture(scope="module")
def strict_app(make_app):
    return make_app(ratelimit_anonymous="3/minute")


def test_without_a_key_the_address_is_limited(strict_app) -> None:
    client = strict_app.test_client()

    def status(address: str, **options: object) -> int:
        return client.get("/usage", environ_base={"REMOTE_ADDR": address}, **options).status_code

    assert [status("203.0.113.9") for _ in range(4)] == [401, 401, 401, 429]
    assert status("203.0.113.9", headers=bearer("psx_guess")) == 429
    assert status("198.51.100.7") == 401


def test_pages_and_health_checks_are_not_limited(strict_app) -> None:
    client = strict_app.test_client()
    for path in ("/healthz", "/docs/errors", "/openapi.json"):
        answers = [client.get(path, environ_base={"REMOTE_ADDR": "192.0.2.1"}) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers


@pytest.fixture(scope="module")
def app_without_redis(make_app):
    return make_app(redis_url=f"redis://127.0.0.1:{free_port()}/0")


def test_with_redis_down_reads_go_on_and_writes_are_503_at_once(app_without_redis) -> None:
    client = app_without_redis.test_client()
    began = time.monotonic()
    refused = client.post("/auth/register", json={"email": "a@example.com"})
    assert (refused.status_code, refused.json["code"]) == (503, "dependency_down")
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.get("/usage").status_code == 401
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["redis"], ready.json["database"]) == (503, "unavailable", "ok")
    assert time.monotonic() - began < 4
