"""``Idempotency-Key``: a repeated POST is worked, and charged, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.imaging import Picture, Turn
from app.models import IdempotentRequest, Kept
from app.services import idempotency, kept
from app.services.sweep import sweep
from app.services.usage import reservations
from app.web.idempotency import HEARTBEAT
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, wait_until
from tests.databases import on_both_databases
from tests.images import encoded
from tests.images_client import ImagesClient


def used(client: ApiClient, account: Account) -> int:
    return client.get("/usage", headers=bearer(account.key)).json["used"]


def answers_of(app: Flask, account: Account) -> list[Path]:
    """The bodies that are kept for an account."""
    return list(
        (app.extensions["lightwell"].settings.storage_dir / "idempotency" / account.org_id).glob(
            "*"
        )
    )


def once(name: str = "order-1") -> dict[str, str]:
    return {"Idempotency-Key": name}


@on_both_databases
def test_a_repetition_gets_the_same_answer_and_is_free(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    first = client.compress(acme.key, encoded(), headers=once())
    again = client.compress(acme.key, encoded(), headers=once())
    assert first.status_code == again.status_code == 200
    assert again.data == first.data
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Image-Processing-Usage"] == "1"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert again.mimetype == "application/json"
    assert again.content_length == first.content_length == len(first.data)
    spool = app.extensions["lightwell"].settings.spool_dir
    assert spool.exists()
    assert not list(spool.iterdir())
    assert used(client, acme) == 1


def test_the_keys_of_two_callers_and_two_names_are_apart(
    client: ApiClient, acme: Account, globex: Account
) -> None:
    answers = [
        client.compress(account.key, encoded(), headers=once(name))
        for account in (acme, globex)
        for name in ("a", "b")
    ]
    assert not [answer for answer in answers if "Idempotent-Replayed" in answer.headers]
    assert used(client, acme) == used(client, globex) == 2


@pytest.mark.parametrize("change", ["file", "name", "field"])
def test_another_request_under_the_same_key_is_422(
    client: ApiClient, acme: Account, change: str
) -> None:
    client.compress(acme.key, ("a.jpg", encoded()), headers=once())
    file = (
        "b.jpg" if change == "name" else "a.jpg",
        encoded(seed=2) if change == "file" else encoded(),
    )
    fields = {"quality": "0.5"} if change == "field" else {}
    answer = client.compress(acme.key, file, headers=once(), **fields)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_mismatch")
    assert used(client, acme) == 1


def test_a_refusal_about_the_request_is_kept_and_one_about_the_moment_is_not(
    client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE", monthly_images=1, requests_per_second=100)
    assert client.compress(account.key, b"junk", headers=once("bad")).status_code == 422
    assert (
        client.compress(account.key, b"junk", headers=once("bad")).headers["Idempotent-Replayed"]
        == "true"
    )
    for _ in range(2):
        answer = client.compress(account.key, encoded(), encoded(), headers=once("full"))
        assert (answer.status_code, answer.json["code"]) == (429, "monthly_limit_reached")
        assert "Idempotent-Replayed" not in answer.headers


@on_both_databases
def test_a_repetition_while_the_first_still_runs_is_409(
    app: Flask, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slowly(app, monkeypatch) as (started, finish), ThreadPoolExecutor(1) as thread:
        first = thread.submit(lambda: client_of(app).compress(acme.key, encoded(), headers=once()))
        assert started.wait(30)
        second = client_of(app).compress(acme.key, encoded(), headers=once())
        finish.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.json["code"]) == (409, "idempotency_in_flight")
    assert second.headers["Retry-After"]
    assert used(client_of(app), acme) == 1


@on_both_databases
def test_a_crash_after_the_charge_is_not_charged_again(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between settling and keeping the answer; the client tries again."""

    with monkeypatch.context() as dying:
        dying.setattr(idempotency, "keep", die)
        with pytest.raises(SystemExit):
            client.compress(acme.key, encoded(), headers=once())
    assert used(client, acme) == 1
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 409
    clock.advance(seconds=31)
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 200
    assert used(client, acme) == 1


@on_both_databases
def test_a_crash_before_the_charge_is_charged_once(
    client: ApiClient, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        for name in ("settle", "release"):
            dying.setattr(reservations, name, die)
        dying.setattr(idempotency, "forget", die)
        with pytest.raises(SystemExit):
            client.compress(acme.key, encoded(), headers=once())
    clock.advance(seconds=31)
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 200
    assert used(client, acme) == 1


@on_both_databases
def test_an_answer_is_kept_for_a_day(
    app: Flask, client: ApiClient, acme: Account, clock: Clock
) -> None:
    client.compress(acme.key, encoded(), headers=once())
    clock.advance(hours=25)
    answer = client.compress(acme.key, encoded(seed=3), headers=once())
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers

    container = app.extensions["lightwell"]
    clock.advance(hours=25)
    assert answers_of(app, acme)
    with app.app_context():
        assert sweep(container.storage, container.settings.spool_dir, clock())["answers"] >= 1
    assert not answers_of(app, acme)


def test_an_answer_that_was_lost_with_its_disk_is_worked_again_for_free(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    first = client.compress(acme.key, encoded(), headers=once())
    for path in answers_of(app, acme):
        path.unlink()
    again = client.compress(acme.key, encoded(), headers=once())
    assert again.json["results"] == first.json["results"]
    assert (
        client.compress(acme.key, encoded(), headers=once()).headers["Idempotent-Replayed"]
        == "true"
    )
    assert used(client, acme) == 1


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_key_of_the_wrong_length_is_refused(client: ApiClient, acme: Account, name: str) -> None:
    assert client.compress(acme.key, encoded(), headers=once(name)).status_code == 400
    assert client.compress(acme.key, encoded(), headers=once("x" * 255)).status_code == 200


# ── answers that are not kept ─────────────────────────────────────────────────────────────────────


@on_both_databases
@pytest.mark.parametrize("evicted", [False, True], ids=["too large", "made room"])
def test_an_answer_that_is_not_kept_is_worked_again_for_free(
    app: Flask, client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch, evicted: bool
) -> None:
    if not evicted:
        monkeypatch.setattr(idempotency, "MAX_KEPT_BYTES", 1000)
    first = client.compress(acme.key, encoded(), encoded(seed=2), headers=once())
    if evicted:
        make_room(app, acme)
    assert not answers_of(app, acme)
    again = client.compress(acme.key, encoded(), encoded(seed=2), headers=once())
    assert again.status_code == 200
    assert again.json == first.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Image-Processing-Usage"] == "2"
    assert len(answers_of(app, acme)) == evicted
    assert client.compress(acme.key, encoded(seed=3), headers=once()).status_code == 422
    assert used(client, acme) == 2


def test_one_is_worked_again_once_at_a_time_and_survives_a_refusal(
    app: Flask, client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEPT_BYTES", 1000)
    first = client.compress(acme.key, encoded(), headers=once())
    with slowly(app, monkeypatch) as (started, finish), ThreadPoolExecutor(1) as thread:
        again = thread.submit(lambda: client_of(app).compress(acme.key, encoded(), headers=once()))
        assert started.wait(30)
        assert client.compress(acme.key, encoded(), headers=once()).status_code == 409
        finish.set()
        assert again.result().json == first.json
    with monkeypatch.context() as patch:
        patch.setattr(app.extensions["lightwell"].image_work, "places", 0)
        patch.setattr(app.extensions["lightwell"].image_work, "max_wait", 0.0)
        busy = client.compress(acme.key, encoded(), headers=once())
        assert (busy.status_code, "Idempotent-Replayed" in busy.headers) == (503, False)
    assert client.compress(acme.key, encoded(), headers=once()).json == first.json
    assert used(client, acme) == 1


@pytest.mark.parametrize("crashed", [False, True])
def test_what_was_made_is_not_made_again(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    crashed: bool,
) -> None:
    """Whether its answer is not kept any more, or the process died before it could be."""
    images = ImagesClient(client, acme.key)

    def ask(operation: str, **fields: object) -> Answer:
        return images.request("POST", f"/{original['id']}/{operation}", headers=once(), json=fields)

    original = images.upload()
    if crashed:
        with monkeypatch.context() as dying:
            dying.setattr(idempotency, "keep", die)
            with pytest.raises(SystemExit):
                ask("mirror", mode="horizontal")
        clock.advance(seconds=31)
    else:
        ask("mirror", mode="horizontal")
        make_room(app, acme)
    made = client.get("/v1/images", headers=bearer(acme.key)).json["data"]
    again = ask("mirror", mode="horizontal")
    assert (again.status_code, again.json) == (201, made[0])
    assert len(client.get("/v1/images", headers=bearer(acme.key)).json["data"]) == 2
    assert images.used() == 2


def test_a_batch_export_whose_answer_is_gone_is_the_same_batch(
    app: Flask, client: ApiClient, acme: Account
) -> None:
    body = {"assetIds": [ImagesClient(client, acme.key).upload()["id"]], "async": True}

    def ask() -> Answer:
        return client.post("/api/v1/exports", headers={**bearer(acme.key), **once()}, json=body)

    first = ask()
    make_room(app, acme)
    assert ask().json == first.json
    assert len(client.get("/api/v1/exports", headers=bearer(acme.key)).json["exports"]) == 1


# ── leases ────────────────────────────────────────────────────────────────────────────────────────


@on_both_databases
def test_a_request_that_was_taken_over_ends_without_a_say(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung past its lease: the second one's answer counts, and so do its images. Nothing is left
    to charge it to."""
    with slowly(app, monkeypatch) as (started, finish), ThreadPoolExecutor(1) as thread:
        first = thread.submit(
            lambda: client_of(app).compress(acme.test_key, encoded(), headers=once())
        )
        assert started.wait(30)
        clock.advance(seconds=31)
        monkeypatch.undo()
        second = client.compress(acme.test_key, encoded(), headers=once())
        bodies = answers_of(app, acme)
        finish.set()
        assert (first.result().status_code, second.status_code) == (503, 200)
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert answers_of(app, acme) == bodies
    assert len(bodies) == 1
    replayed = client.compress(acme.test_key, encoded(), headers=once())
    assert (replayed.data, replayed.headers["Idempotent-Replayed"]) == (second.data, "true")


def test_a_lease_is_renewed_while_somebody_works(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.extensions[HEARTBEAT], "_seconds", 0.01)
    with slowly(app, monkeypatch) as (started, finish), ThreadPoolExecutor(1) as thread:
        first = thread.submit(lambda: client_of(app).compress(acme.key, encoded(), headers=once()))
        assert started.wait(30)
        for _ in range(3):
            clock.advance(seconds=29)
            wait_until(lambda: lease_of(app, acme) > clock() + timedelta(seconds=20), "a heartbeat")
            assert client.compress(acme.key, encoded(), headers=once()).status_code == 409
        finish.set()
        assert first.result().status_code == 200
    assert not app.extensions[HEARTBEAT]._claims


def lease_of(app: Flask, account: Account) -> datetime:
    with app.app_context(), transaction(account.org_id, "live") as session:
        return session.scalars(select(IdempotentRequest.lease_until)).one()


@contextmanager
def slowly(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Work on pictures says that it has started, and waits until it may finish."""
    started, finish = Event(), Event()
    pool = app.extensions["lightwell"].imaging
    submit = pool.submit

    def slow(*arguments: Any) -> Turn[Picture]:
        started.set()
        assert finish.wait(30)
        return submit(*arguments)

    monkeypatch.setattr(pool, "submit", slow)
    try:
        yield started, finish
    finally:
        finish.set()


def make_room(app: Flask, account: Account) -> None:
    """Newer answers take the place of all that is kept."""
    container = app.extensions["lightwell"]
    with app.app_context():
        with transaction(account.org_id, "live") as session:
            assert kept.total(session, Kept.ANSWER)
            assert kept.add(session, idempotency.EVICTION, 1, 1)
            kept.change_total(session, Kept.ANSWER, -1)
        sweep(container.storage, container.settings.spool_dir, container.clock())


def die(*_: object) -> None:
    raise SystemExit("killed")
