"""Events on their way to the webhook: signed, until they are taken, over restarts."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stripe

from dev.stripe.deliveries import MAX_PAUSE_SECONDS, MIN_PAUSE_SECONDS, Deliveries
from dev.stripe.factory import create_fake_stripe
from dev.stripe.state import FakeStripe
from tests.clock import real_now
from tests.conftest import wait_until

SECRET = "whsec_of_tests"


@dataclass
class Webhook:
    """A server that takes events, with the statuses it is told to, and 200 when it is told nothing
    more."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[bytes, str]] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for body, _ in self.got]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    taken = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.got.append((body, self.headers["Stripe-Signature"]))
            self.send_response(taken.statuses.pop(0) if taken.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.url = f"http://127.0.0.1:{server.server_port}/webhooks/stripe"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def make_deliveries(webhook: Webhook) -> Callable[[FakeStripe], Deliveries]:
    return lambda state: Deliveries(state, webhook.url, SECRET, real_now)


@pytest.fixture
def state() -> FakeStripe:
    return FakeStripe(delivers=True)


def ids(state: FakeStripe) -> list[str]:
    return [event["id"] for event in state.journal.events()]


def test_events_are_signed_and_sent_once(
    state: FakeStripe, webhook: Webhook, make_deliveries: Callable[[FakeStripe], Deliveries]
) -> None:
    state.subscriptions.create(
        state.customers.create("ada@example.com")["id"], ["price_team_month"]
    )
    deliveries = make_deliveries(state)
    deliveries.send_due(0)
    deliveries.send_due(1000)
    assert webhook.ids() == ids(state)
    for body, signature in webhook.got:
        assert stripe.WebhookSignature.verify_header(body, signature, SECRET, tolerance=300)
    assert state.journal.undelivered() == []
    assert {event["pending_webhooks"] for event in state.journal.events()} == {0}


def test_the_signature_tells_when_it_was_made(state: FakeStripe, webhook: Webhook) -> None:
    state.customers.create("ada@example.com")
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    Deliveries(state, webhook.url, SECRET, lambda: moment).send_due(0)
    assert webhook.got[0][1].startswith(f"t={int(moment.timestamp())},v1=")


def test_what_was_not_taken_is_tried_again_after_growing_pauses(
    state: FakeStripe, webhook: Webhook, make_deliveries: Callable[[FakeStripe], Deliveries]
) -> None:
    deliveries = make_deliveries(state)
    webhook.statuses = [500, 404, 302, *[503] * 6]
    state.customers.create("ada@example.com")
    now, pauses = 0.0, []
    while state.journal.undelivered():
        tries = len(webhook.got)
        pauses.append(deliveries.send_due(now))
        deliveries.send_due(now + pauses[-1] - 0.01)
        assert len(webhook.got) == tries + 1, "tried before its time"
        now += pauses[-1]
    assert (
        pauses[:-1]
        == [MIN_PAUSE_SECONDS * 2**number for number in range(6)] + [MAX_PAUSE_SECONDS] * 3
    )
    assert len(set(webhook.ids())) == 1


def test_one_that_is_refused_does_not_hold_up_the_others(
    state: FakeStripe, webhook: Webhook, make_deliveries: Callable[[FakeStripe], Deliveries]
) -> None:
    deliveries = make_deliveries(state)
    first, second = (
        state.customers.create(f"{name}@example.com") and ids(state)[-1] for name in ("ada", "eve")
    )
    webhook.statuses = [500]
    deliveries.send_due(0)
    assert state.journal.undelivered() == [first]
    deliveries.send_due(MIN_PAUSE_SECONDS)
    assert webhook.ids() == [first, second, first]


def test_nobody_there_is_no_delivery(state: FakeStripe) -> None:
    state.customers.create("ada@example.com")
    assert (
        Deliveries(state, "http://127.0.0.1:9/", SECRET, real_now).send_due(0) == MIN_PAUSE_SECONDS
    )
    assert state.journal.undelivered() == ids(state)


def test_a_restart_sends_what_the_last_one_did_not(tmp_path: Path, webhook: Webhook) -> None:
    path = tmp_path / "state.sqlite3"
    before = FakeStripe(path, delivers=True)
    before.customers.create("ada@example.com")
    before.close()

    fake_stripe = create_fake_stripe("sk_test_1", SECRET, webhook.url, path)
    state: FakeStripe = fake_stripe.extensions["state"]
    wait_until(lambda: not state.journal.undelivered(), "the event of the last time")
    state.customers.create("eve@example.com")
    wait_until(lambda: len(webhook.got) == 2, "the event of this time")
    assert webhook.ids() == ids(state)


def test_without_a_webhook_nothing_waits_to_be_sent() -> None:
    state: FakeStripe = create_fake_stripe("sk_test_1", SECRET).extensions["state"]
    state.customers.create("ada@example.com")
    assert (state.journal.undelivered(), len(state.journal.events())) == ([], 1)
