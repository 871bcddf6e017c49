"""One call of the WSGI application, run step by step in threads."""

from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

from app.server.spool import Spool
from app.server.types import Application, Environ

PIECE_BYTES = 64 * 1024
"""The most bytes sent at a time."""


class Abandoned(Exception):
    """The client has disconnected; the rest of the answer is not needed."""


class Call:
    """The application's answer to ``environ``.

    ``step`` runs in a thread, one at a time, until the answer ends or ``spool.share`` bytes of it
    wait to be sent; the event loop takes them. ``wake`` is called when bytes are ready to take,
    ``ended`` once, when the application has finished the request. All steps share one context, so
    context variables keep their values between steps. Locks and thread-locals that an application
    holds across a ``yield`` do not.
    """

    def __init__(
        self,
        application: Application,
        environ: Environ,
        *,
        spool: Spool,
        wake: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.error: BaseException | None = None
        self.is_done = False
        self.is_abandoned = False
        self._application = application
        self._environ = environ
        self._spool = spool
        self._wake = wake
        self._ended = ended
        self._context = copy_context()
        self._iterable: Any = None
        self._pieces: Iterator[bytes] | None = None
        self._waiting: deque[bytes] = deque()
        self._put_bytes = self._taken_bytes = 0  # each is changed by one side only
        self._length: int | None = None
        self._is_awake = False

    @property
    def waiting_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def step(self) -> None:
        self._context.run(self._step)

    def take(self) -> bytes:
        """Return the next waiting bytes, about ``PIECE_BYTES``; empty if none wait."""
        self._is_awake = False
        taken, size = [], 0
        while self._waiting and size < PIECE_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1])
        self._taken_bytes += size
        self._spool.in_memory(-size)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _step(self) -> None:
        try:
            if self.is_abandoned:
                raise Abandoned
            if self._pieces is None:
                self._iterable = self._application(self._environ, self._start_response)
                self._pieces = iter(self._iterable)
            for piece in self._pieces:
                self._put(piece)
                if self.waiting_bytes >= self._spool.share:
                    return
        except BaseException as error:  # any exception is answered and logged
            self.error = error
        self._end()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Any:
        self.status = int(status[:3])
        self._length = next(
            (int(value) for name, value in headers if name.lower() == "content-length"), None
        )
        self.headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        return self._put

    def _put(self, piece: bytes) -> None:
        if self.is_abandoned:
            raise Abandoned
        if not piece:
            return
        self._spool.in_memory(len(piece))
        self._waiting.append(piece)
        self._put_bytes += len(piece)
        # After the last byte, the end of the step wakes the event loop.
        if not self._is_awake and self._put_bytes != self._length:
            self._is_awake = True
            self._wake()

    def _end(self) -> None:
        """Close the answer, even if it was not read to its end, so that generators finish and
        release their places and files."""
        try:
            close = getattr(self._iterable, "close", None)
            if close is not None:
                close()
        except Exception as error:
            self.error = self.error or error
        self._ended()
        self.is_done = True
