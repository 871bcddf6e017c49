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

from app.cashier.books import Books
from app.cashier.deliveries import FIRST_PAUSE, LONGEST_PAUSE, Deliveries
from app.cashier.factory import create_cashier
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
def make_deliveries(webhook: Webhook) -> Callable[[Books], Deliveries]:
    return lambda books: Deliveries(books, webhook.url, SECRET, real_now)


@pytest.fixture
def books() -> Books:
    return Books(delivers=True)


def ids(books: Books) -> list[str]:
    return [event["id"] for event in books.events()]


def test_events_are_signed_and_sent_once(
    books: Books, webhook: Webhook, make_deliveries: Callable[[Books], Deliveries]
) -> None:
    books.subscribe(books.create_customer("ada@example.com")["id"], ["price_team_month"])
    deliveries = make_deliveries(books)
    deliveries.send_due(0)
    deliveries.send_due(1000)
    assert webhook.ids() == ids(books)
    for body, signature in webhook.got:
        assert stripe.WebhookSignature.verify_header(body, signature, SECRET, tolerance=300)
    assert books.undelivered() == []
    assert {event["pending_webhooks"] for event in books.events()} == {0}


def test_the_signature_tells_when_it_was_made(books: Books, webhook: Webhook) -> None:
    books.create_customer("ada@example.com")
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    Deliveries(books, webhook.url, SECRET, lambda: moment).send_due(0)
    assert webhook.got[0][1].startswith(f"t={int(moment.timestamp())},v1=")


def test_what_was_not_taken_is_tried_again_after_growing_pauses(
    books: Books, webhook: Webhook, make_deliveries: Callable[[Books], Deliveries]
) -> None:
    deliveries = make_deliveries(books)
    webhook.statuses = [500, 404, 302, *[503] * 6]
    books.create_customer("ada@example.com")
    now, pauses = 0.0, []
    while books.undelivered():
        tries = len(webhook.got)
        pauses.append(deliveries.send_due(now))
        deliveries.send_due(now + pauses[-1] - 0.01)
        assert len(webhook.got) == tries + 1, "tried before its time"
        now += pauses[-1]
    assert pauses[:-1] == [FIRST_PAUSE * 2**number for number in range(6)] + [LONGEST_PAUSE] * 3
    assert len(set(webhook.ids())) == 1


def test_one_that_is_refused_does_not_hold_up_the_others(
    books: Books, webhook: Webhook, make_deliveries: Callable[[Books], Deliveries]
) -> None:
    deliveries = make_deliveries(books)
    first, second = (
        books.create_customer(f"{name}@example.com") and ids(books)[-1] for name in ("ada", "eve")
    )
    webhook.statuses = [500]
    deliveries.send_due(0)
    assert books.undelivered() == [first]
    deliveries.send_due(FIRST_PAUSE)
    assert webhook.ids() == [first, second, first]


def test_nobody_there_is_no_delivery(books: Books) -> None:
    books.create_customer("ada@example.com")
    assert Deliveries(books, "http://127.0.0.1:9/", SECRET, real_now).send_due(0) == FIRST_PAUSE
    assert books.undelivered() == ids(books)


def test_a_restart_sends_what_the_last_one_did_not(tmp_path: Path, webhook: Webhook) -> None:
    path = tmp_path / "books.sqlite3"
    before = Books(path, delivers=True)
    before.create_customer("ada@example.com")
    before.close()

    cashier = create_cashier("sk_test_1", SECRET, webhook.url, path)
    books: Books = cashier.extensions["books"]
    wait_until(lambda: not books.undelivered(), "the event of the last time")
    books.create_customer("eve@example.com")
    wait_until(lambda: len(webhook.got) == 2, "the event of this time")
    assert webhook.ids() == ids(books)


def test_without_a_webhook_nothing_waits_to_be_sent() -> None:
    books: Books = create_cashier("sk_test_1", SECRET).extensions["books"]
    books.create_customer("ada@example.com")
    assert (books.undelivered(), len(books.events())) == ([], 1)
