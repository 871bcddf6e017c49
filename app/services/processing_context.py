"""The dependencies of work on files, in one value that is passed to services."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from app.adapters.storage.interface import Storage
from app.errors import Overloaded
from app.imaging import ImagingInterrupted, ImagingPool, Turn

Outcome = TypeVar("Outcome")
HEARTBEAT_SECONDS = 3.0


@dataclass(frozen=True)
class ProcessingContext:
    """The storage, the imaging pool, the clock, and a folder for temporary files.

    ``max_wait`` is how many seconds work may wait for its turn while a request waits for it; None
    if no request waits.
    """

    storage: Storage
    imaging: ImagingPool
    clock: Callable[[], datetime]
    spool_dir: Path
    max_wait: float | None = None

    @property
    def without_deadline(self) -> Self:
        """The same context for work whose client has its answer already."""
        return replace(self, max_wait=None)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A temporary folder until the block ends. After a crash the sweep removes it."""
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix="work-", dir=self.spool_dir, ignore_cleanup_errors=True
        ) as name:
            yield Path(name)

    def outcome(self, work: Turn[Outcome], heartbeat: Callable[[], None] | None = None) -> Outcome:
        """Wait for the result of a file's work. ``heartbeat`` is called every 3 seconds meanwhile,
        to renew the leases that the work holds.

        Raises Overloaded if its turn does not come in time, ImagingError, and ImagingInterrupted if
        the server was stopped.
        """
        deadline = math.inf if self.max_wait is None else time.monotonic() + self.max_wait
        while not wait([work], timeout=self._pause(work, deadline)).done:
            if not work.begun and time.monotonic() >= deadline:
                work.cancel()
                raise busy()
            if heartbeat:
                heartbeat()
        try:
            return work.result()
        except CancelledError:
            raise ImagingInterrupted(
                "The server was stopped while it worked on the file; send it again."
            ) from None

    def _pause(self, work: Turn[Any], deadline: float) -> float:
        """The seconds until the next heartbeat, or until the deadline if that is sooner."""
        return (
            HEARTBEAT_SECONDS
            if work.begun
            else max(0.0, min(HEARTBEAT_SECONDS, deadline - time.monotonic()))
        )


def busy() -> Overloaded:
    """The error for work whose turn did not come in time."""
    return Overloaded(
        "The server is busy with other images. Nothing was charged; send this again.", retry_after=2
    )
