"""``/auth``: register and rotate."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.extensions import transaction
from app.models import ApiKey, Membership, User
from tests.client import ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, KeyMaker
from tests.databases import on_both_databases


@on_both_databases
def test_register_returns_keys_that_work(client: ApiClient) -> None:
    answer = client.post("/auth/register", json={"email": "ada@example.com"})

    assert answer.status_code == 201
    body = answer.json
    assert body["apiKey"].startswith("psx_")
    assert body["testApiKey"].startswith("test_")
    assert (body["plan"], body["monthlyLimit"]) == ("FREE", 100)
    for key in (body["apiKey"], body["testApiKey"]):
        assert client.get("/usage", headers=bearer(key)).json["used"] == 0


def test_register_stores_no_secret(app: Flask, client: ApiClient) -> None:
    body = client.post("/auth/register", json={"email": "secret@example.com"}).json
    with app.app_context(), transaction() as session:
        rows = session.scalars(select(ApiKey)).all()
    stored = " ".join(str(vars(row)) for row in rows)
    assert body["apiKey"].removeprefix("psx_") not in stored
    assert body["apiKey"][-4:] in stored


@on_both_databases
def test_a_known_address_is_refused_however_it_is_spelt(client: ApiClient) -> None:
    client.post("/auth/register", json={"email": "Grace.Hopper@Example.com"})
    for spelling in (
        "grace.hopper@example.com",
        " GRACE.HOPPER@EXAMPLE.COM".strip(),
        "Grace.Hopper@example.COM",
    ):
        answer = client.post("/auth/register", json={"email": spelling})
        assert answer.status_code == 409
        assert answer.json["code"] == "conflict"
        assert set(answer.json) == {"error", "code", "status", "type", "requestId", "message"}


@on_both_databases
@pytest.mark.parametrize(
    ("first", "same", "another"),
    [
        (
            "may@example.com",
            ["may+shop@example.com", "MAY+2@example.com", "may+a+b@example.com"],
            "m.ay@example.com",
        ),
        ("ma.y+x@example.net", ["ma.y@example.net"], "may@example.net"),
        (
            "m.ay.2027@gmail.com",
            ["may2027@gmail.com", "MAY.2027+x@googlemail.com"],
            "may2028@gmail.com",
        ),
        ("june@googlemail.com", ["j.une@googlemail.com", "june@gmail.com"], "june@mail.example"),
        ("+july@example.com", ["+july+x@example.com"], "+august@example.com"),
    ],
)
def test_a_mailbox_has_one_account_however_its_address_is_written(
    client: ApiClient, first: str, same: list[str], another: str
) -> None:
    assert client.post("/auth/register", json={"email": first}).status_code == 201
    for spelling in (first, *same):
        answer = client.post("/auth/register", json={"email": spelling})
        assert (answer.status_code, answer.json["code"]) == (409, "conflict"), spelling
    assert client.post("/auth/register", json={"email": another}).status_code == 201


@on_both_databases
def test_an_address_is_kept_as_it_was_given(app: Flask, client: ApiClient) -> None:
    client.post("/auth/register", json={"email": "An.Na+Lightwell@gmail.com"})
    with app.app_context(), transaction() as session:
        user = session.scalars(select(User).where(User.mailbox == "anna@gmail.com")).one()
    assert user.email == "an.na+lightwell@gmail.com"


@on_both_databases
def test_parallel_registrations_of_one_mailbox_make_one_account(app: Flask) -> None:
    def register(tag: int) -> int:
        return (
            client_of(app)
            .post("/auth/register", json={"email": f"racer+{tag}@example.com"})
            .status_code
        )

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(register, range(8))) == [201] + [409] * 7


@on_both_databases
def test_parallel_registrations_make_one_account(app: Flask) -> None:
    def register(_: int) -> int:
        return client_of(app).post("/auth/register", json={"email": "race@example.com"}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(register, range(8)))
    assert statuses == [201] + [409] * 7
    with app.app_context(), transaction() as session:
        user = session.scalars(select(User).where(User.email == "race@example.com")).one()
        assert (
            session.scalar(
                select(func.count()).select_from(Membership).where(Membership.user_id == user.id)
            )
            == 1
        )


@pytest.mark.parametrize(
    "email",
    [
        "",
        "nobody",
        "a@",
        "@b.com",
        "a b@example.com",
        "a@example",
        "x" * 400 + "@example.com",
        "a\n@example.com",
    ],
)
def test_an_invalid_address_is_refused(client: ApiClient, email: str) -> None:
    answer = client.post("/auth/register", json={"email": email})
    assert answer.status_code == 400
    assert answer.json["errors"][0].startswith("email: ")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "email: is required"),
        ({"email": 7}, "email: should be a valid string"),
        ({"email": None}, "email: should be a valid string"),
        ({"email": "a@example.com", "plan": "TEAM"}, "plan: unknown field"),
    ],
)
def test_fields_are_checked_by_name(client: ApiClient, body: dict[str, Any], problem: str) -> None:
    answer = client.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert problem in answer.json["errors"]


@on_both_databases
@pytest.mark.parametrize("kind", ["key", "test_key"])
def test_rotate_kills_the_old_key_at_once(client: ApiClient, acme: Account, kind: str) -> None:
    old = getattr(acme, kind)
    answer = client.post("/auth/rotate-key", headers=bearer(old))

    assert answer.status_code == 200
    new = answer.json["apiKey"]
    assert new.split("_")[0] == ("psx" if kind == "key" else "test")
    assert client.get("/usage", headers=bearer(old)).status_code == 401
    assert client.get("/usage", headers=bearer(new)).status_code == 200


def test_rotate_keeps_name_scopes_mode_and_expiry(
    app: Flask, client: ApiClient, acme: Account, make_key: KeyMaker, clock: Clock
) -> None:
    from_key = make_key(
        acme, scopes=("write",), expires_at=clock().replace(microsecond=0, year=2100)
    )
    new = client.post("/auth/rotate-key", headers=bearer(from_key)).json["apiKey"]
    with app.app_context(), transaction() as session:
        old_row, new_row = (
            session.scalars(
                select(ApiKey).where(ApiKey.last4 == key[-4:], ApiKey.org_id == acme.org_id)
            ).one()
            for key in (from_key, new)
        )
    for column in ("name", "scopes", "mode", "expires_at", "org_id"):
        assert getattr(new_row, column) == getattr(old_row, column)
    assert old_row.revoked_at is not None


@on_both_databases
def test_of_racing_rotations_one_wins(app: Flask, acme: Account) -> None:
    def rotate(_: int) -> int:
        return client_of(app).post("/auth/rotate-key", headers=bearer(acme.key)).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(rotate, range(5)))
    assert statuses == [200] + [401] * 4


def test_a_reading_key_cannot_rotate_itself(
    client: ApiClient, acme: Account, make_key: KeyMaker
) -> None:
    assert (
        client.post(
            "/auth/rotate-key", headers=bearer(make_key(acme, scopes=("read",)))
        ).status_code
        == 403
    )


def test_an_idempotency_key_does_not_store_the_new_secret(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    answer = client.post(
        "/auth/rotate-key", headers={**bearer(acme.key), "Idempotency-Key": "rotate-once"}
    )
    assert answer.status_code == 200
    storage = app.extensions["lightwell"].settings.storage_dir
    kept = b"".join(path.read_bytes() for path in storage.rglob("*") if path.is_file())
    assert answer.json["apiKey"].encode() not in kept
