"""Storing a ZIP as long as the worker that makes it holds its lease."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event

from app.adapters.storage.interface import Storage
from app.services.heartbeat import Heartbeat

HEARTBEAT_SECONDS = 2.0
LEASE = timedelta(seconds=10)


class LeaseLost(Exception):
    """The work was cancelled, or another worker has claimed it."""


@dataclass(frozen=True)
class LeasedZip:
    """A ZIP that is stored under ``key``. ``renew`` renews the lease and says whether the worker
    still holds it."""

    storage: Storage
    key: str
    renew: Callable[[], bool]
    _lost: Event = field(default_factory=Event, init=False)

    def put(self, chunks: Generator[bytes, None, None]) -> None:
        """Store the ZIP's ``chunks``. Raises LeaseLost; then nothing is stored."""
        with self._renewing(), closing(chunks):
            self.storage.put(self.key, self._until_lost(chunks), "application/zip")

    def _renewing(self) -> AbstractContextManager[None]:
        variables = copy_context()  # for the thread that renews the lease
        heartbeat = Heartbeat[str](
            "export-lease", HEARTBEAT_SECONDS, lambda _held: variables.run(self._beat)
        )
        return heartbeat.renewing(self.key)

    def _beat(self) -> None:
        if not self.renew():
            self._lost.set()

    def _until_lost(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._lost.is_set():
                raise LeaseLost
            yield chunk
