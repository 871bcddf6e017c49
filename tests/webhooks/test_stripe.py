"""``POST /webhooks/stripe``: what is stored, what becomes of it, and that nothing is lost before
the job."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from rq import Queue

from app.adapters.redis import connect
from app.jobs import resume_billing
from app.services.billing import inbox
from tests.billing import BillingEnv
from tests.client import client_of
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.webhooks.events import UPDATED, about, event, post, signature, stored

REDIS_NOWHERE = {"redis_url": "redis://127.0.0.1:1/0"}

# What is stored, and what becomes of it


@on_both_databases
def test_an_event_is_stored_and_a_job_waits_for_it(
    app: Flask, paying: BillingEnv, queue: Queue, clock: Clock
) -> None:
    sent = event()
    answer = post(app, sent)
    assert (answer.status_code, answer.json) == (200, {"received": True})
    (row,) = stored(app)
    assert (row.id, row.type, row.subject) == (
        sent["id"],
        UPDATED,
        sent["data"]["object"]["customer"],
    )
    assert row.created_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert row.handled_at is None
    assert row.next_attempt_at == row.received_at <= clock()
    assert [job.func_name for job in queue.jobs] == ["app.jobs.billing"]


@on_both_databases
def test_an_event_that_comes_again_changes_nothing(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    """Stripe's own repetition, and a thief's replay within the five minutes."""
    body = json.dumps(event()).encode()
    header = signature(body, ago=200)
    assert post(app, body, header).status_code == 200
    paying.work()
    queue.empty()
    (handled,) = stored(app)
    assert handled.handled_at
    for again in (header, signature(body)):
        assert post(app, body, again).json == {"received": True}
    (row,) = stored(app)
    assert (row.handled_at, row.received_at, row.next_attempt_at) == (
        handled.handled_at,
        handled.received_at,
        None,
    )
    assert queue.is_empty()


@on_both_databases
def test_deliveries_of_one_event_at_one_moment_store_it_once(
    app: Flask, paying: BillingEnv
) -> None:
    sent, start = event(), Barrier(8)

    def deliver(_: int) -> int:
        start.wait()
        return post(app, sent).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(deliver, range(8))) == [200] * 8
    assert [row.id for row in stored(app)] == [sent["id"]]


def test_what_is_about_subscriptions_is_looked_into_for_the_customer(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    kinds = inbox.ABOUT_SUBSCRIPTIONS - {"customer.deleted"}
    for kind in kinds:
        assert (
            post(
                app, event(type=kind, **about(object="one.of.these", customer=f"cus_{kind}"))
            ).status_code
            == 200
        )
    waiting = {
        (row.type, row.subject) for row in stored(app) if row.next_attempt_at and not row.handled_at
    }
    assert waiting == {(kind, f"cus_{kind}") for kind in kinds}


@pytest.mark.parametrize(
    ("kind", "thing", "subject"),
    [
        ("customer.deleted", {"id": "cus_7", "object": "customer"}, "cus_7"),
        ("charge.dispute.created", {"id": "du_7", "object": "dispute", "charge": "ch_7"}, "ch_7"),
        (
            "invoice.paid",
            {"id": "in_7", "object": "invoice", "customer": {"id": "cus_8", "object": "customer"}},
            "cus_8",
        ),
        (
            "charge.dispute.created",
            {"id": "du_7", "object": "dispute", "charge": {"id": "ch_8"}},
            "ch_8",
        ),
    ],
)
def test_whom_an_event_is_about(
    app: Flask, paying: BillingEnv, queue: Queue, kind: str, thing: dict[str, Any], subject: str
) -> None:
    assert post(app, event(type=kind, **about(**thing))).status_code == 200
    (row,) = stored(app)
    assert (row.subject, row.handled_at) == (subject, None)
    assert queue.count == 1


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("customer.created", {"id": "cus_7", "object": "customer"}),
        ("balance.available", {"object": "balance", "available": [{"amount": 1}]}),
        ("product.made_up_tomorrow", {"id": "x_1", "object": "something.new", "charge": None}),
        (
            "checkout.session.completed",
            {"id": "cs_7", "object": "checkout.session", "customer": None},
        ),
    ],
)
def test_what_does_not_concern_us_is_stored_and_left_alone(
    app: Flask, paying: BillingEnv, queue: Queue, kind: str, thing: dict[str, Any]
) -> None:
    assert post(app, event(type=kind, **about(**thing))).status_code == 200
    (row,) = stored(app)
    assert (row.type, row.outcome, row.next_attempt_at) == (kind, "ignored", None)
    assert row.handled_at == row.received_at
    assert queue.is_empty()


def test_many_events_are_one_job_s_work(app: Flask, paying: BillingEnv, queue: Queue) -> None:
    """An outage at the worker must not end in a thousand jobs that find nothing to do."""
    for _ in range(30):
        assert post(app, event()).status_code == 200
    assert queue.count == 1
    assert len(stored(app)) == 30


def test_events_of_the_fake_stripe_are_understood(
    app: Flask, billing_env: BillingEnv, queue: Queue
) -> None:
    """All that the fake Stripe tells of a life: each in Stripe's own shape."""
    customer = billing_env.stripe.customers.create("a@example.com")["id"]
    subscription = billing_env.stripe.subscriptions.create(customer, ["price_team_month"])["id"]
    billing_env.stripe.invoices.dispute(billing_env.stripe.journal.all("charge", customer)[0]["id"])
    billing_env.stripe.subscriptions.cancel(subscription)
    billing_env.stripe.customers.delete(customer)
    news = billing_env.new_events
    assert {answer.status_code for answer in billing_env.deliver(news)} == {200}
    waiting = {row.type for row in stored(app) if row.handled_at is None}
    assert waiting == {entry["type"] for entry in news} & (
        inbox.ABOUT_SUBSCRIPTIONS | {inbox.DISPUTE}
    )
    assert {row.subject for row in stored(app) if row.type in inbox.ABOUT_SUBSCRIPTIONS} == {
        customer
    }


# Nothing is lost between the answer and the job


def test_an_event_is_kept_and_found_later_when_redis_is_down(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    container = app.extensions["lightwell"]
    app.extensions["lightwell"] = replace(
        container, redis=connect(container.settings.model_copy(update=REDIS_NOWHERE))
    )
    assert post(app, event()).status_code == 200
    app.extensions["lightwell"] = container
    assert queue.is_empty()
    with app.app_context():
        resume_billing(app)
    assert queue.count == 1


def test_an_event_is_found_later_when_the_process_died_before_telling_the_queue(
    app: Flask, paying: BillingEnv, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> None:
        raise SystemExit("killed")

    sent = event()
    with monkeypatch.context() as dying:
        dying.setattr(inbox, "enqueue", die)
        with pytest.raises(SystemExit):
            post(app, sent)
    assert post(app, sent).status_code == 200
    assert queue.is_empty()
    with app.app_context():
        resume_billing(app)
    assert queue.count == 1


def test_an_event_that_comes_while_a_job_runs_gets_a_job_of_its_own(
    app: Flask, paying: BillingEnv, queue: Queue
) -> None:
    """The one that runs may have looked into the inbox for the last time; its end must not take the
    other along."""
    post(app, event())
    running = queue.fetch_job(queue.pop_job_id() or "")
    post(app, event())
    assert running
    running.cleanup(0, remove_from_queue=False)
    assert [job.func_name for job in queue.jobs] == ["app.jobs.billing"]


def test_an_event_is_not_answered_when_it_could_not_be_stored(
    app: Flask, paying: BillingEnv, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything but 200, and Stripe sends it again."""

    def fail(*_: object, **__: object) -> bool:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as failing:
        failing.setattr(inbox, "insert_if_absent", fail)
        assert post(app, event()).status_code == 500
    assert stored(app) == []
    assert queue.is_empty()


# The surface


def test_events_count_against_no_rate_limit_and_are_none_of_a_browser_s_business(
    app: Flask, paying: BillingEnv
) -> None:
    answer = post(app, event())
    assert answer.status_code == 200
    assert not [name for name, _ in answer.headers if "ratelimit" in name.lower()]
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        client_of(app).options("/webhooks/stripe", headers=preflight),
        client_of(app).post("/webhooks/stripe", headers={"Origin": "https://elsewhere.example"}),
    ):
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


def test_only_post_is_taken(app: Flask, paying: BillingEnv) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = client_of(app).open("/webhooks/stripe", method=method)
        assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
        assert "POST" in answer.headers["Allow"]


def test_without_a_provider_there_is_no_webhook(app: Flask) -> None:
    assert post(app, event()).json["code"] == "not_configured"
    assert stored(app) == []
