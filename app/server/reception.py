"""Taking a request's body in: at once where it is here already, else only after the application
agreed to it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.errors import RequestTimeout, TooLarge
from app.server.spool import SpooledBody
from app.server.types import Receive, Scope

AT_ONCE_BYTES = 64 * 1024
AT_ONCE_SECONDS = 0.1
"""A body as small as this that comes as soon as this, as nearly all do, is not asked about."""
LEAST_RATE = 2048
"""Bytes a second that a client must send on average, beside the time that it may be silent."""
LINGER_SECONDS = 30
"""How long a refused client may go on sending. Closed at once, it would often lose the answer with
the connection."""


class ClientGone(Exception):
    """There is nobody to answer any more."""


class Reception:
    """The body of one request on its way into ``body``."""

    def __init__(
        self, scope: Scope, receive: Receive, body: SpooledBody, patience_seconds: float
    ) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self._body = body
        self._patience = patience_seconds
        self._is_chunked = b"transfer-encoding" in headers
        self._length = int(headers.get(b"content-length", 0))
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self.is_whole = not (self._is_chunked or self._length)

    async def take(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Have all of it. ``ask`` says how many bytes it may have, or raises what the request is
        refused with.

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
            silent = now() + self._patience
            slow = began + self._patience + self._body.size / LEAST_RATE
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
        """Throw away what a refused client still sends."""
        if self.is_whole:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await self._receive()).get("more_body"):
                    pass
