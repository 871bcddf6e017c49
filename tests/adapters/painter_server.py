"""A local server that speaks OpenAI's images API as a test tells it to."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.adapters.servers import LocalServer, running

KEY = "sk-the-operators-own"

Answer = Callable[["Handler"], None]


class PainterServer(LocalServer):
    """``answer`` is how it answers; ``requests`` are those that it saw."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.answer: Answer = says({"data": []})
        self.requests: list[Seen] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    server: PainterServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(Seen(self.path, dict(self.headers), body))
        if self.headers.get("Authorization") == f"Bearer {KEY}":
            self.server.answer(self)
        else:
            problem = {
                "message": f"Incorrect API key: {self.headers.get('Authorization')}",
                "code": "invalid_api_key",
            }
            says({"error": problem}, 401)(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def says(body: object, status: int = 200, **headers: str) -> Answer:
    """Answer with a body: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def refuses(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    return says(
        {"error": {"message": message, "type": "invalid_request_error", "code": code}},
        status,
        **headers,
    )


def drips(beginning: bytes, drop: bytes) -> Answer:
    """Answer without an end: a little every few milliseconds, for as long as somebody listens."""

    def answer(handler: Handler) -> None:
        with suppress(OSError):
            handler.wfile.write(beginning)
            while not handler.server.stopping.wait(0.01):
                handler.wfile.write(drop)

    return answer


def running_painter() -> AbstractContextManager[PainterServer]:
    return running(PainterServer())
