"""What work on files needs, in one value that services are handed."""

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

from app.adapters.storage import Storage
from app.errors import Overloaded
from app.imaging import ImagingInterrupted, ImagingPool, Turn

Outcome = TypeVar("Outcome")
HEARTBEAT_SECONDS = 3.0


@dataclass(frozen=True)
class ProcessingContext:
    """Where objects are kept, who works on pictures, what time it is, and a place for files in
    between.

    ``max_wait`` is how many seconds work may wait for its turn, where a request waits for it; None
    where nobody does.
    """

    storage: Storage
    imaging: ImagingPool
    clock: Callable[[], datetime]
    spool_dir: Path
    max_wait: float | None = None

    @property
    def without_deadline(self) -> Self:
        """The same, for work whose requester already has an answer."""
        return replace(self, max_wait=None)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for the length of the block; what a crash leaves of it is swept."""
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix="work-", dir=self.spool_dir, ignore_cleanup_errors=True
        ) as name:
            yield Path(name)

    def outcome(self, work: Turn[Outcome], heartbeat: Callable[[], None] | None = None) -> Outcome:
        """What came of a file's work. ``heartbeat`` is called every 3 seconds of it, to renew
        the leases that the work holds.

        Raises Overloaded where its turn does not come in time; ImagingError, ImagingInterrupted
        among them where the server was stopped.
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
        """Until the next heartbeat, or the moment to give up, if that is sooner."""
        return (
            HEARTBEAT_SECONDS
            if work.begun
            else max(0.0, min(HEARTBEAT_SECONDS, deadline - time.monotonic()))
        )


def busy() -> Overloaded:
    """What is said of work whose turn did not come in time."""
    return Overloaded(
        "The server is busy with other images. Nothing was charged; send this again.", retry_after=2
    )
