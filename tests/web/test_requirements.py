"""From a header to a principal."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from app.extensions import db, transaction
from app.models import ApiKey, Mode
from app.services.accounts.keys import BASE62
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, KeyMaker
from tests.databases import on_both_databases

LIVE_PREFIXES = ("psx_", "ak_live_", "live_")
TEST_PREFIXES = ("test_", "ak_test_")


def secret_of(key: str) -> str:
    return key.rpartition("_")[2]


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
@pytest.mark.parametrize("prefix", LIVE_PREFIXES + TEST_PREFIXES)
def test_every_spelling_in_both_headers(
    client: ApiClient, acme: Account, header: str, prefix: str
) -> None:
    key = prefix + secret_of(acme.key if prefix in LIVE_PREFIXES else acme.test_key)
    value = f"Bearer {key}" if header == "Authorization" else key
    assert client.get("/usage", headers={header: value}).status_code == 200


@pytest.mark.parametrize("prefix", LIVE_PREFIXES + TEST_PREFIXES)
def test_a_prefix_of_the_other_mode_is_refused(
    client: ApiClient, acme: Account, prefix: str
) -> None:
    key = prefix + secret_of(acme.test_key if prefix in LIVE_PREFIXES else acme.key)
    assert client.get("/usage", headers=bearer(key)).status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_case_insensitive(client: ApiClient, acme: Account, scheme: str) -> None:
    assert (
        client.get("/usage", headers={"Authorization": f"{scheme} {acme.key}"}).status_code == 200
    )


def test_other_schemes_and_broken_keys_are_refused(client: ApiClient, acme: Account) -> None:
    secret = secret_of(acme.key)
    for value in ("", "Bearer", "Basic " + acme.key, f"Bearer {secret}", f"Bearer sk_{secret}",
    f"Bearer psx_{secret}x",
                  f"Bearer psx_{secret[:-1]}", "Bearer psx_" + "é" * 38,
                  "Bearer " + "p" * 9000):  # fmt: skip
        answer = client.get(
            "/usage", headers={"Authorization": value.encode("latin-1").decode("latin-1")}
        )
        assert answer.status_code == 401, value
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json["code"] == "unauthenticated"


def test_a_typo_is_refused_without_asking_the_database(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    asked = []
    with app.app_context():
        event.listen(
            db.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2])
        )
    wrong = acme.key[:10] + BASE62[(BASE62.index(acme.key[10]) + 1) % 62] + acme.key[11:]
    assert client.get("/usage", headers=bearer(wrong)).status_code == 401
    assert not asked
    assert client.get("/usage", headers=bearer(acme.key)).status_code == 200
    assert asked


@on_both_databases
def test_a_revocation_holds_from_the_next_request_on(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    assert client.get("/usage", headers=bearer(acme.key)).status_code == 200
    with app.app_context(), transaction() as session:
        session.change(
            update(ApiKey).where(ApiKey.last4 == acme.key[-4:]).values(revoked_at=db.func.now())
        )
    assert client.get("/usage", headers=bearer(acme.key)).status_code == 401


def test_an_expired_key_is_refused(
    client: ApiClient, acme: Account, make_key: KeyMaker, clock: Clock
) -> None:
    key = make_key(acme, expires_at=clock() + timedelta(hours=1))
    assert client.get("/usage", headers=bearer(key)).status_code == 200
    clock.advance(hours=2)
    assert client.get("/usage", headers=bearer(key)).status_code == 401


@on_both_databases
def test_a_key_records_its_last_use_once_a_minute(
    app: Flask, client: ApiClient, acme: Account, clock: Clock
) -> None:
    def last_used() -> datetime | None:
        with app.app_context(), transaction() as session:
            return session.scalars(
                select(ApiKey.last_used_at).where(
                    ApiKey.org_id == acme.org_id, ApiKey.mode == Mode.LIVE
                )
            ).one()

    assert last_used() is None
    client.get("/usage", headers=bearer(acme.key))
    first = last_used()
    assert first
    assert abs(first - clock()) < timedelta(seconds=5)
    client.get("/usage", headers=bearer(acme.key))
    assert last_used() == first
    clock.advance(seconds=61)
    client.get("/usage", headers=bearer(acme.key))
    later = last_used()
    assert later
    assert later > first + timedelta(seconds=60)


def test_a_preflight_needs_no_key(client: ApiClient) -> None:
    answer = client.options(
        "/compress/batch",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_pages_take_no_cross_origin_requests(client: ApiClient) -> None:
    assert (
        "Access-Control-Allow-Origin"
        not in client.get("/docs", headers={"Origin": "https://x.example"}).headers
    )
