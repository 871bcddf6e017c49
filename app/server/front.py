"""The ASGI application before the WSGI one: takes requests in whole, then lends them a thread, then
sends answers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import cast

import structlog

from app.errors import AppError
from app.server.call import Call
from app.server.environ import environ_of, path_of
from app.server.lanes import Lanes
from app.server.reception import ClientGone, Reception
from app.server.refusals import Headers, page
from app.server.spool import Spool, SpooledBody
from app.server.types import CONNECTION, Application, Connection, Environ, Receive, Scope, Send
from app.web.admission import ASKED, Admission

log = structlog.get_logger()


class Front:
    """``patience_seconds`` is how long a client may be silent, or take for 64 kB, before it is
    given up."""

    def __init__(
        self, application: Application, *, lanes: Lanes, spool: Spool, patience_seconds: float
    ) -> None:
        self.application = application
        self.lanes = lanes
        self.spool = spool
        self.patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Exchange(self, scope, receive, send).run()


class RefusedEarly(Exception):
    """The application's own refusal of a request whose body it has not seen."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.answer = status, headers, body


class Exchange:
    """One request and its answer, on the event loop."""

    def __init__(self, front: Front, scope: Scope, receive: Receive, send: Send) -> None:
        self._front = front
        self._spool = front.spool
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection = cast(Connection, scope[CONNECTION])
        self._lane = front.lanes.of(scope["method"], path_of(scope))
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._running: asyncio.Future[None]
        self._watching: asyncio.Task[None] | None = None
        self._is_gone = False
        self._is_begun = False

    async def run(self) -> None:
        body = SpooledBody(self._spool)
        reception = Reception(self._scope, self._receive, body, self._front.patience_seconds)
        call = None
        try:
            await reception.take(self._ask)
            self._lane.check()
            call = self._call(environ_of(self._scope, body.opened(), body.size), body.close)
            await self._answer(call)
        except ClientGone:
            pass
        except (RefusedEarly, AppError) as refusal:
            body.close()  # the client may go on sending; what it has sent need not lie there
            await self._refuse(
                reception, *(refusal.answer if isinstance(refusal, RefusedEarly) else page(refusal))
            )
        finally:
            if call is None:
                body.close()

    async def _ask(self) -> int:
        """Put the request to the application without its body: how many bytes may that have?

        Raises RefusedEarly, and Overloaded, also where the whole request would be.
        """
        self._lane.check()
        light = self._front.lanes.light
        light.check()
        asked = Admission()
        call = self._call({**environ_of(self._scope, BytesIO(), None), ASKED: asked}, lambda: None)
        body = b""
        while not call.is_done:
            await light.run(call.step)
            body += b"".join(iter(call.take, b""))
        if call.error:
            raise _defect(call.error)
        if asked.most_bytes is None:
            raise RefusedEarly(call.status, call.headers, body)
        return asked.most_bytes

    async def _refuse(
        self, reception: Reception, status: int, headers: Headers, body: bytes
    ) -> None:
        if self._is_begun:
            self._connection.abort()  # so that the client sees that its answer is not whole
            return
        if not reception.is_whole:
            self._connection.end_after_answer()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
        await reception.drain()

    async def _answer(self, call: Call) -> None:
        try:
            self._step(call)
            await self._send_all(call)
        finally:
            if self._watching:
                self._watching.cancel()
            await self._close(call)

    async def _send_all(self, call: Call) -> None:
        """Send pieces as the application makes them, and have it make more only while they are
        read."""
        while not self._is_gone:
            self._changed.clear()
            is_done = call.is_done  # looked at before what waits: nothing comes after it
            piece = call.take()
            if is_done and call.error:
                raise _defect(call.error)
            is_last = is_done and not call.waiting_bytes
            if piece or is_last:
                await self._send_piece(call, piece, is_last)
            if is_last:
                return
            if (
                self._running.done()
                and not call.is_done
                and call.waiting_bytes <= self._spool.share // 2
            ):
                self._step(call)
            elif not piece:
                await self._changed.wait()
        raise ClientGone

    async def _send_piece(self, call: Call, piece: bytes, is_last: bool) -> None:
        if not self._is_begun:
            self._is_begun = True
            await self._send(
                {"type": "http.response.start", "status": call.status, "headers": call.headers}
            )
        try:
            async with asyncio.timeout(self._front.patience_seconds):
                await self._send(
                    {"type": "http.response.body", "body": piece, "more_body": not is_last}
                )
        except TimeoutError:
            self._connection.abort()
            raise ClientGone from None
        if not is_last and not self._watching:  # short answers need none
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._changed.set()

    async def _close(self, call: Call) -> None:
        """However it ended: the application's generator is closed, in a thread, and the bytes are
        given back."""
        call.is_abandoned = True
        while not call.is_done:
            await (
                self._step(call) if self._running.done() else self._running
            )  # never two of one call
        while call.take():
            pass

    def _call(self, environ: Environ, ended: Callable[[], None]) -> Call:
        return Call(
            self._front.application, environ, spool=self._spool, wake=self._wake, ended=ended
        )

    def _step(self, call: Call) -> "asyncio.Future[None]":
        self._running = self._lane.run(call.step)
        self._running.add_done_callback(lambda _: self._changed.set())
        return self._running

    def _wake(self) -> None:
        """From the thread of a step."""
        with suppress(RuntimeError):  # the loop has ended: so does the process
            self._loop.call_soon_threadsafe(self._changed.set)


def _defect(error: BaseException) -> AppError:
    log.error("defect", exc_info=error)
    return AppError("Something broke on our side. Retry, and tell us the request id if it stays.")
