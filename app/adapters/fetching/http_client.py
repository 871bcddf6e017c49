"""One request over one connection to one address, in a bounded time. The environment has no say in
it: neither proxies nor credentials are taken from there.

``http.client`` reads the answer. The sockets are ours, because its own timeouts begin anew with
every byte (docs/decisions/027).
"""

import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse
from ssl import OP_IGNORE_UNEXPECTED_EOF, SSLContext, create_default_context
from threading import Thread
from typing import Any, cast

import certifi

from app.adapters.fetching.origins import Url

CONNECT_SECONDS = 4.0
"""The most that one address may take to connect, so that there is time left for the next."""
HEADER_BYTES = 64 * 1024


class Deadline:
    """A moment ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._moment = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds, more than 0. Raises TimeoutError when there are none."""
        seconds = self._moment - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


def look_up(host: str) -> list[str]:
    """The addresses of a name, best first. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(address: str, port: int, timeout: float) -> socket.socket:
    """Raises OSError."""
    return socket.create_connection((address, port), timeout)


@cache
def public_certificates() -> SSLContext:
    """The authorities that the system trusts and, for systems without a list, those of Mozilla."""
    context = create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@dataclass(frozen=True)
class HttpClient:
    """Names, connections and TLS as the system has them; tests give others."""

    look_up: Callable[[str], Sequence[str]] = look_up
    connect: Callable[[str, int, float], socket.socket] = connect
    tls: Callable[[], SSLContext] = public_certificates

    def addresses(self, host: str, deadline: Deadline) -> Sequence[str]:
        """As ``look_up``, but before the deadline. Raises OSError, TimeoutError."""
        answer: Future[Sequence[str]] = Future()

        def work() -> None:
            try:
                answer.set_result(self.look_up(host))
            except Exception as problem:
                answer.set_exception(problem)

        Thread(target=work, name="look-up", daemon=True).start()
        return answer.result(deadline.remaining())

    @contextmanager
    def request(
        self,
        url: Url,
        addresses: Sequence[str],
        deadline: Deadline,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Iterator[HTTPResponse]:
        """The answer of the first of ``addresses`` that connects: its headers are read, its body is
        not. With a ``body`` this is a POST, else a GET. Redirects are answers like any other.

        Raises OSError (TimeoutError, SSLError) and HTTPException, also where the body is read.
        """
        with ExitStack() as connection:
            sock = connection.enter_context(self._connected(addresses, url.port, deadline))
            if url.scheme == "https":
                sock.settimeout(deadline.remaining())
                # Somebody on the way may cut the answer, which then ends without TLS' close_notify.
                # Some releases of Python 3.11 don't tell.
                context = self.tls()
                context.options &= ~OP_IGNORE_UNEXPECTED_EOF
                sock = context.wrap_socket(
                    sock, server_hostname=url.hostname, suppress_ragged_eofs=False
                )
                connection.enter_context(sock)
            sock.settimeout(deadline.remaining())
            sock.sendall(_head(url, headers, body) + (body or b""))
            wire = Wire(sock, deadline)
            answer = connection.enter_context(HTTPResponse(cast(socket.socket, wire)))
            answer.begin()
            wire.most = None
            yield answer

    def _connected(self, addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
        problem = None
        for address in addresses:
            timeout = min(deadline.remaining(), CONNECT_SECONDS)
            try:
                return self.connect(address, port, timeout)
            except OSError as error:
                problem = error
        raise ConnectionError("no address connects") from problem


def _head(url: Url, headers: Mapping[str, str], body: bytes | None) -> bytes:
    fields = {
        "Host": url.authority,
        "User-Agent": "Lightwell",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    if body is not None:
        fields["Content-Length"] = str(len(body))
    method = "GET" if body is None else "POST"
    lines = [f"{method} {url.target} HTTP/1.1", *(f"{one}: {fields[one]}" for one in fields)]
    if not all(line.isprintable() for line in lines):
        raise ValueError("a header has control characters")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Wire(io.RawIOBase):
    """What a socket receives before the deadline: at most ``most`` bytes, or any number where it is
    None.

    HTTPResponse takes it for a socket, of which it only makes a file.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self.most: int | None = HEADER_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.remaining())
        count = self._sock.recv_into(buffer)
        if self.most is not None:
            self.most -= count
            if self.most < 0:
                raise HTTPException("the headers have no end")
        return count
