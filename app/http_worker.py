"""The gunicorn worker: gunicorn's ASGI worker, which needs no thread per connection, in front of
our WSGI application.

It adds what gunicorn's worker lacks: a timeout for the headers, limits on connections, a timeout
for clients that do not read, and errors with our error body. It overrides private names of
gunicorn, which ``tests/architecture`` lists.
"""

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from app.errors import AppError, BadRequest, Overloaded, RequestTimeout
from app.server import asgi_application
from app.server.refusals import error_response
from app.server.types import CONNECTION

BUFFERED_BYTES = 16 * 1024
"""Writing to a connection pauses at this many unsent bytes. The last write, up to 64 kB, may add to
them."""
UNSENT_BYTES = 128 * 1024
"""How many bytes the kernel may buffer for a client that does not read, in addition to those in
flight."""
RESERVED_FILES = 500
STALLED_SECONDS = 2
"""How long a stalled client may block the worker's shutdown."""
MESSAGES = {
    400: "The request line, the headers or the framing of the body are malformed.",
    408: "The request's headers came too slowly. Send the request again.",
    414: "The request line is longer than the server takes.",
    431: "The request has more headers, or longer ones, than the server takes.",
    500: "Something broke on our side. Retry, and tell us the request id if it stays.",
    501: "The server knows no transfer coding but 'chunked'.",
    503: "The server has too many connections, in all or from this address. Close some, or come "
    "back later.",
}
"""Messages, by status, of errors that are sent before the application is called."""


def refusal(status: int) -> bytes:
    """Return a complete HTTP answer that closes the connection."""
    message = MESSAGES.get(status, MESSAGES[400 if status < 500 else 500])
    kinds: dict[int, Callable[[str], AppError]] = {408: RequestTimeout, 503: Overloaded}
    error = kinds.get(status, BadRequest if status < 500 else AppError)(message)
    _, headers, body = error_response(error, status)
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        *(b"%s: %s" % header for header in headers),
    ]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


class HttpConnection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """One connection: gunicorn handles HTTP/1.1, this class adds timeouts and limits."""

    worker: "HttpWorker"

    def __init__(self, worker: "HttpWorker") -> None:
        super().__init__(worker)
        self._timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._is_last_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=BUFFERED_BYTES)
        _bound_unsent(transport)
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        self.worker.connections.add(self)
        self.worker.addresses[self._address] += 1
        if self.worker.has_too_many(self._address):
            self._refuse(503)
        else:
            self._end_in(self.worker.client_timeout, self._headers_late)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._conn_lost_handled:
            self._disarm()
            self.worker.connections.discard(self)
            self.worker.addresses[self._address] -= 1
            if not self.worker.addresses[self._address]:
                del self.worker.addresses[self._address]
        super().connection_lost(exc)
        self._flow_control.resume_writing()  # so that pending sends find the connection closed
        self._request_ready.set()

    def eof_received(self) -> bool:
        """The client sends no more. If it has sent a whole request, it still gets the answer."""
        body = self._body_receiver
        if body is None:
            return False
        if not body._complete:
            self._refuse(400)
        self._is_last_request = True
        return not self._awaiting_request

    def abort(self) -> None:
        self.transport.abort()

    def end_after_answer(self) -> None:
        self._is_last_request = True

    @property
    def is_between_requests(self) -> bool:
        """No request has arrived completely."""
        body = self._body_receiver
        return (
            self._current_request is None
            or self._awaiting_request
            or bool(body and not body._complete)
        )

    @property
    def is_stalled(self) -> bool:
        return bool(self._flow_control.write_paused)

    def end(self) -> None:
        """Close the connection, and wake the code that waits for more of it."""
        self._close_transport()
        self._request_ready.set()
        if self._body_receiver is not None:
            self._body_receiver.signal_disconnect()

    def _on_headers_complete(self) -> Any:
        self._disarm()
        return super()._on_headers_complete()

    def _is_websocket_upgrade(self, request: Any) -> bool:
        return False  # websockets are not supported; the request is handled as plain HTTP

    def _build_http_scope(self, *arguments: Any) -> dict[str, Any]:
        return {**super()._build_http_scope(*arguments), CONNECTION: self}

    def _will_close(self, *arguments: Any) -> bool:
        return self._is_last_request or super()._will_close(*arguments)

    def _close_transport(self) -> None:
        super()._close_transport()
        if not self._conn_lost_handled:
            # A client that does not read would keep it open.
            self._end_in(self.worker.client_timeout, self.abort)

    def _send_error_response(
        self, status: int, message: str, extra_headers: Iterable[Any] = ()
    ) -> None:
        self._safe_write(refusal(status))

    def _refuse(self, status: int) -> None:
        self._safe_write(refusal(status))
        self.end()

    def _headers_late(self) -> None:
        """The headers did not arrive in time."""
        self._refuse(408)

    def _end_in(self, seconds: float, end: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.worker.loop.call_later(seconds, end)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


class HttpWorker(gasgi.ASGIWorker):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.connections: set[HttpConnection] = set()
        self.addresses: Counter[str] = Counter()

    def load_wsgi(self) -> None:
        self.wsgi = self.app.wsgi()
        settings = self.wsgi.extensions["lightwell"].settings
        self.client_timeout = settings.client_timeout_seconds
        self.asgi = asgi_application(self.wsgi)
        _, max_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
        self._max_connections: int = min(self.cfg.worker_connections, max_files - RESERVED_FILES)
        self._max_per_address: int = (
            self._max_connections if settings.trusted_proxies else settings.connections_per_address
        )

    def run(self) -> None:
        create_server = self.loop.create_server

        async def create_and_listen(*arguments: Any, **options: Any) -> asyncio.Server:
            """Raise asyncio's backlog of 100 connections: beyond it a client retries after a
            second."""
            server: asyncio.Server = await create_server(*arguments, **options)
            options["sock"].listen(self.cfg.backlog)
            return server

        self.loop.create_server = create_and_listen
        super().run()

    def has_too_many(self, address: str) -> bool:
        return (
            len(self.connections) > self._max_connections
            or self.addresses[address] > self._max_per_address
        )

    async def _shutdown(self) -> None:
        """Answer all requests that have arrived. Connections without a whole request, or whose
        client does not read, are closed."""
        for connection in list(self.connections):
            if connection.is_between_requests:
                connection.end()
        stalled = asyncio.create_task(self._end_stalled())
        await super()._shutdown()
        stalled.cancel()

    async def _end_stalled(self) -> None:
        stalled: set[HttpConnection] = set()
        while True:
            for connection in stalled:
                if connection.is_stalled:
                    connection.abort()
            stalled = {connection for connection in self.connections if connection.is_stalled}
            await asyncio.sleep(STALLED_SECONDS)


def _bound_unsent(transport: asyncio.Transport) -> None:
    """Limit the kernel's send buffer: it would hold megabytes for each client that does not read.
    Linux and macOS have the option."""
    if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
        with suppress(OSError):  # not a TCP socket
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


gasgi.ASGIProtocol = HttpConnection  # the class that the worker uses for connections
