"""Read a request's body. A small body that arrives at once is read directly, any other only after
the application has admitted the request."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.errors import RequestTimeout, TooLarge
from app.server.spool import SpooledBody
from app.server.types import Receive, Scope

AT_ONCE_BYTES = 64 * 1024
AT_ONCE_SECONDS = 0.1
"""A body within this size and time is read without asking the application first. Nearly all bodies
are."""
MIN_BYTES_PER_SECOND = 2048
"""Bytes per second that a client must send on average, after its allowed silence."""
LINGER_SECONDS = 30
"""How long a refused client may go on sending. If the connection were closed at once, the client
would often lose the answer."""


class ClientGone(Exception):
    """The client has disconnected."""


class BodyReader:
    """Reads the body of one request into ``body``."""

    def __init__(
        self, scope: Scope, receive: Receive, body: SpooledBody, timeout_seconds: float
    ) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self._body = body
        self._timeout = timeout_seconds
        self._is_chunked = b"transfer-encoding" in headers
        self._length = int(headers.get(b"content-length", 0))
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self.is_whole = not (self._is_chunked or self._length)

    async def take(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Read the whole body. ``ask`` returns how many bytes it may have, or raises the refusal.

        Raises ClientGone, TooLarge, RequestTimeout, Overloaded.
        """
        if not (self.is_whole or self._is_chunked or self._waits) and self._length <= AT_ONCE_BYTES:
            with suppress(TimeoutError):
                async with asyncio.timeout(AT_ONCE_SECONDS):
                    await self._all(self._length)
        if not self.is_whole:
            await self._slowly(await ask())

    async def _all(self, most: int) -> None:
        while not self.is_whole:
            await self._next(most)

    async def _slowly(self, most: int) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        while not self.is_whole:
            silent = now() + self._timeout
            slow = began + self._timeout + self._body.size / MIN_BYTES_PER_SECOND
            try:
                async with asyncio.timeout_at(min(silent, slow)):
                    await self._next(most)
            except TimeoutError:
                raise RequestTimeout(
                    "The request's body came too slowly, or not at all. Send it again."
                ) from None

    async def _next(self, most: int) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        data = message.get("body", b"")
        if self._body.size + len(data) > most:
            raise TooLarge("The request has more bytes than the server or the plan allows.")
        self._body.write(data)
        self.is_whole = not message.get("more_body")

    async def drain(self) -> None:
        """Discard the bytes that a refused client still sends."""
        if self.is_whole:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await self._receive()).get("more_body"):
                    pass
