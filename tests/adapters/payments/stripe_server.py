"""A local server that answers as Stripe would, or as no server should."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stripe import RequestsClient

from app.adapters.payments.stripe import StripePayments
from tests.adapters.servers import LocalServer, running
from tests.billing import ACCOUNT, SECRETS

KEY = ACCOUNT.stripe_secret_key
CLOSED = "http://127.0.0.1:1"
"""Where nobody listens."""
Answer = Callable[[Any], None]


@dataclass(frozen=True)
class Seen:
    """A request: ``sent`` is its form, or its query."""

    method: str
    path: str
    headers: dict[str, str]
    sent: dict[str, str]


class StripeServer(LocalServer):
    """``answer`` is how it answers; ``requests`` are those that it saw."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(Handler)
        self.answer = answer
        self.requests: list[Seen] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: StripeServer

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode() or target.query
        self.server.requests.append(
            Seen(self.command, target.path, dict(self.headers), dict(parse_qsl(body)))
        )
        self.server.answer(self)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def falls_silent(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.server.stopping.wait(60)


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True


def stops_in_the_middle(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "cus_')
    handler.close_connection = True


def running_stripe(answer: Answer) -> AbstractContextManager[StripeServer]:
    return running(StripeServer(answer))


@contextmanager
def client_of(url: str, seconds: float = 5) -> Iterator[StripePayments]:
    """The adapter with its real HTTP client, which waits for so long."""
    http_client = RequestsClient(timeout=(seconds, seconds))
    try:
        yield StripePayments(KEY, SECRETS, url, http_client)
    finally:
        http_client.close()


@contextmanager
def answering(answer: Answer, seconds: float = 5) -> Iterator[StripePayments]:
    with running_stripe(answer) as server, client_of(server.url, seconds) as payments:
        yield payments


def refusal(
    message: str = "No.", kind: str = "invalid_request_error", **more: object
) -> dict[str, object]:
    return {"error": {"type": kind, "message": message, **more}}
