"""A server of files on loopback, for tests of what fetches: it answers as told, and remembers who
came."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

import pytest

from app.errors import AppError

Page = bytes | Callable[[], Iterable[bytes]]


def page(
    body: bytes, content_type: str = "image/png", status: str = "200 OK", **headers: str
) -> bytes:
    """A whole answer. Headers are named as in Python: ``content_encoding``; one that is empty is
    left out."""
    fields = {"content_type": content_type, "content_length": str(len(body)), **headers}
    lines = [
        f"{name.replace('_', '-').title()}: {value}" for name, value in fields.items() if value
    ]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return page(b"", "", status, location=location)


class Origin:
    """``pages`` by path with query; any other is a 404. ``connections`` counts those that were
    accepted.

    ``requests`` are as they came. ``names`` are those that TLS handshakes asked for.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.connections = 0
        self.requests: list[str] = []
        self.names: list[str | None] = []
        self.closing = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self.closing.is_set():
                    connection.close()
                    return
                self.connections += 1
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def stop(self) -> None:
        self.closing.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._listener.close()

    def slowly(self, whole: bytes, after: int = 0) -> Callable[[], Iterator[bytes]]:
        """The answer with its first bytes at once, then one every 20 ms for as long as the other
        side listens."""

        def drip() -> Iterator[bytes]:
            yield whole[:after]
            for place in range(after, len(whole)):
                yield whole[place : place + 1]
                self.closing.wait(0.02)

        return drip

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as received:
                lines = list(takewhile(lambda line: line != b"\r\n", received))
                if not lines or not lines[0].startswith(b"GET "):
                    return  # it was hung up on, or spoken to in TLS
                self.requests.append(b"".join(lines).decode("latin-1"))
                found = self.pages.get(
                    lines[0].split()[1].decode(), page(b"", status="404 Not Found")
                )
                for part in [found] if isinstance(found, bytes) else found():
                    connection.sendall(part)


@contextmanager
def running_origin(tls: ssl.SSLContext | None = None) -> Iterator[Origin]:
    origin = Origin(tls)
    thread = threading.Thread(target=origin.serve, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        origin.stop()
        thread.join()


def refusal(kind: type[AppError], fetch: Callable[[], object], target: Path) -> str:
    """What the refusal says of the field. Nothing is left behind."""
    with pytest.raises(kind) as caught:
        fetch()
    assert type(caught.value) is kind
    assert caught.value.errors == [caught.value.message]
    assert not target.exists()
    field, _, problem = caught.value.message.partition(": ")
    assert field == "url"
    return problem
