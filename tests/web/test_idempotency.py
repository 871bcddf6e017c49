"""``Idempotency-Key``: a repeated POST is worked, and charged, once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from app.services import idempotency, usage
from app.services.sweep import sweep
from tests.client import bearer
from tests.databases import on_both_databases
from tests.images import encoded


def used(client, account) -> int:
    return client.get("/usage", headers=bearer(account.key)).json["used"]


def answers_of(app, account) -> list[Path]:
    """The bodies that are kept for an account."""
    return list((app.extensions["lightwell"].settings.storage_dir / "idempotency" / account.org_id).glob("*"))


def once(name: str = "order-1") -> dict[str, str]:
    return {"Idempotency-Key": name}


@on_both_databases
def test_a_repetition_gets_the_same_answer_and_is_free(app, client, acme) -> None:
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


def test_the_keys_of_two_callers_and_two_names_are_apart(client, acme, globex) -> None:
    answers = [
        client.compress(account.key, encoded(), headers=once(name)) for account in (acme, globex) for name in ("a", "b")
    ]
    assert not [answer for answer in answers if "Idempotent-Replayed" in answer.headers]
    assert used(client, acme) == used(client, globex) == 2


@pytest.mark.parametrize("change", ["file", "name", "field"])
def test_another_request_under_the_same_key_is_422(client, acme, change) -> None:
    client.compress(acme.key, ("a.jpg", encoded()), headers=once())
    file = ("b.jpg" if change == "name" else "a.jpg", encoded(seed=2) if change == "file" else encoded())
    fields = {"quality": "0.5"} if change == "field" else {}
    answer = client.compress(acme.key, file, headers=once(), **fields)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_mismatch")
    assert used(client, acme) == 1


def test_a_refusal_about_the_request_is_kept_and_one_about_the_moment_is_not(client, make_account) -> None:
    account = make_account(plan="FREE", monthly_images=1, requests_per_second=100)
    assert client.compress(account.key, b"junk", headers=once("bad")).status_code == 422
    assert client.compress(account.key, b"junk", headers=once("bad")).headers["Idempotent-Replayed"] == "true"
    for _ in range(2):
        answer = client.compress(account.key, encoded(), encoded(), headers=once("full"))
        assert (answer.status_code, answer.json["code"]) == (429, "monthly_limit_reached")
        assert "Idempotent-Replayed" not in answer.headers


@on_both_databases
def test_a_repetition_while_the_first_still_runs_is_409(app, acme, monkeypatch) -> None:
    started, finish = Event(), Event()
    pool = app.extensions["lightwell"].imaging
    submit = pool.submit

    def slow(*arguments):
        started.set()
        assert finish.wait(30)
        return submit(*arguments)

    monkeypatch.setattr(pool, "submit", slow)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(lambda: app.test_client().compress(acme.key, encoded(), headers=once()))
        assert started.wait(30)
        second = app.test_client().compress(acme.key, encoded(), headers=once())
        finish.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.json["code"]) == (409, "idempotency_in_flight")
    assert second.headers["Retry-After"]
    assert used(app.test_client(), acme) == 1


@on_both_databases
def test_a_crash_after_the_charge_is_not_charged_again(app, client, acme, clock, monkeypatch) -> None:
    """The process dies between settling and keeping the answer; the client tries again."""

    def die(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as dying:
        dying.setattr(idempotency, "keep", die)
        with pytest.raises(SystemExit):
            client.compress(acme.key, encoded(), headers=once())
    assert used(client, acme) == 1
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 409
    clock.advance(minutes=16)
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 200
    assert used(client, acme) == 1


@on_both_databases
def test_a_crash_before_the_charge_is_charged_once(client, acme, clock, monkeypatch) -> None:
    def die(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as dying:
        for name in ("settle", "release"):
            dying.setattr(usage, name, die)
        dying.setattr(idempotency, "forget", die)
        with pytest.raises(SystemExit):
            client.compress(acme.key, encoded(), headers=once())
    clock.advance(minutes=16)
    assert client.compress(acme.key, encoded(), headers=once()).status_code == 200
    assert used(client, acme) == 1


@on_both_databases
def test_an_answer_is_kept_for_a_day(app, client, acme, clock) -> None:
    client.compress(acme.key, encoded(), headers=once())
    clock.advance(hours=25)
    answer = client.compress(acme.key, encoded(seed=3), headers=once())
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers

    tools = app.extensions["lightwell"]
    clock.advance(hours=25)
    assert answers_of(app, acme)
    with app.app_context():
        assert sweep(tools.storage, tools.settings.spool_dir, clock()).answers >= 1
    assert not answers_of(app, acme)


def test_an_answer_that_was_lost_with_its_disk_is_worked_again_for_free(app, client, acme) -> None:
    first = client.compress(acme.key, encoded(), headers=once())
    for kept in answers_of(app, acme):
        kept.unlink()
    again = client.compress(acme.key, encoded(), headers=once())
    assert again.json["results"] == first.json["results"]
    assert client.compress(acme.key, encoded(), headers=once()).headers["Idempotent-Replayed"] == "true"
    assert used(client, acme) == 1


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_key_of_the_wrong_length_is_refused(client, acme, name) -> None:
    assert client.compress(acme.key, encoded(), headers=once(name)).status_code == 400
    assert client.compress(acme.key, encoded(), headers=once("x" * 255)).status_code == 200
