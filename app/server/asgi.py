"""The ASGI application in front of the WSGI one: reads whole requests, runs them in a thread, sends
the answers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import cast

import structlog

from app.errors import AppError
from app.server.body_reader import BodyReader, ClientGone
from app.server.call import Call
from app.server.environ import environ_of, path_of
from app.server.refusals import Headers, error_response
from app.server.spool import Spool, SpooledBody
from app.server.thread_pools import ThreadPools
from app.server.types import CONNECTION, Application, Connection, Environ, Receive, Scope, Send
from app.web.admission import ADMISSION_KEY, Admission

log = structlog.get_logger()


class AsgiApplication:
    """``timeout_seconds`` is how long a client may stay silent, or take to read 64 kB, before its
    connection is cut."""

    def __init__(
        self,
        application: Application,
        *,
        thread_pools: ThreadPools,
        spool: Spool,
        timeout_seconds: float,
    ) -> None:
        self.application = application
        self.thread_pools = thread_pools
        self.spool = spool
        self.timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await RequestCycle(self, scope, receive, send).run()


class RefusedEarly(Exception):
    """The application refused the request before its body was read."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.answer = status, headers, body


class RequestCycle:
    """One request and its answer, on the event loop."""

    def __init__(self, server: AsgiApplication, scope: Scope, receive: Receive, send: Send) -> None:
        self._server = server
        self._spool = server.spool
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection = cast(Connection, scope[CONNECTION])
        self._pool = server.thread_pools.of(scope["method"], path_of(scope))
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._running: asyncio.Future[None]
        self._watching: asyncio.Task[None] | None = None
        self._is_gone = False
        self._is_begun = False

    async def run(self) -> None:
        body = SpooledBody(self._spool)
        reader = BodyReader(self._scope, self._receive, body, self._server.timeout_seconds)
        call = None
        try:
            await reader.take(self._ask)
            self._pool.check()
            call = self._call(environ_of(self._scope, body.opened(), body.size), body.close)
            await self._answer(call)
        except ClientGone:
            pass
        except (RefusedEarly, AppError) as refusal:
            body.close()  # frees its space now, because the client may go on sending
            await self._refuse(
                reader,
                *(refusal.answer if isinstance(refusal, RefusedEarly) else error_response(refusal)),
            )
        finally:
            if call is None:
                body.close()

    async def _ask(self) -> int:
        """Ask the application, without the body, how many bytes the body may have.

        Raises RefusedEarly, and Overloaded if the whole request would be refused for load.
        """
        self._pool.check()
        light = self._server.thread_pools.light
        light.check()
        asked = Admission()
        call = self._call(
            {**environ_of(self._scope, BytesIO(), None), ADMISSION_KEY: asked}, lambda: None
        )
        body = b""
        while not call.is_done:
            await light.run(call.step)
            body += b"".join(iter(call.take, b""))
        if call.error:
            raise _defect(call.error)
        if asked.max_bytes is None:
            raise RefusedEarly(call.status, call.headers, body)
        return asked.max_bytes

    async def _refuse(self, reader: BodyReader, status: int, headers: Headers, body: bytes) -> None:
        if self._is_begun:
            self._connection.abort()  # so that the client notices that the answer is incomplete
            return
        if not reader.is_whole:
            self._connection.end_after_answer()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
        await reader.drain()

    async def _answer(self, call: Call) -> None:
        try:
            self._step(call)
            await self._send_all(call)
        finally:
            if self._watching:
                self._watching.cancel()
            await self._close(call)

    async def _send_all(self, call: Call) -> None:
        """Send pieces as the application produces them, and let it produce more only while the
        client reads."""
        while not self._is_gone:
            self._changed.clear()
            is_done = call.is_done  # read before take(): once it is True, no more bytes are added
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
            async with asyncio.timeout(self._server.timeout_seconds):
                await self._send(
                    {"type": "http.response.body", "body": piece, "more_body": not is_last}
                )
        except TimeoutError:
            self._connection.abort()
            raise ClientGone from None
        if not is_last and not self._watching:  # short answers need no watcher
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._changed.set()

    async def _close(self, call: Call) -> None:
        """Close the application's generator in a thread and release the unsent bytes, however the
        request ended."""
        call.is_abandoned = True
        while not call.is_done:
            # Two steps of one call must never run at once.
            await (self._step(call) if self._running.done() else self._running)
        while call.take():
            pass

    def _call(self, environ: Environ, ended: Callable[[], None]) -> Call:
        return Call(
            self._server.application, environ, spool=self._spool, wake=self._wake, ended=ended
        )

    def _step(self, call: Call) -> "asyncio.Future[None]":
        self._running = self._pool.run(call.step)
        self._running.add_done_callback(lambda _: self._changed.set())
        return self._running

    def _wake(self) -> None:
        """Wake the event loop; called in the thread of a step."""
        with suppress(RuntimeError):  # the loop is closed because the process is ending
            self._loop.call_soon_threadsafe(self._changed.set)


def _defect(error: BaseException) -> AppError:
    log.error("defect", exc_info=error)
    return AppError("Something broke on our side. Retry, and tell us the request id if it stays.")
