"""What work on files needs, in one value that services are handed."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from app.adapters.storage import Storage
from app.imaging import ImagingInterrupted, ImagingPool

Outcome = TypeVar("Outcome")
BEAT_SECONDS = 3.0


@dataclass(frozen=True)
class Workshop:
    """Where objects are kept, who works on pictures, what time it is, and a place for files in between.

    ``test_images`` is what an organization's test keys may make in a day.
    """

    storage: Storage
    imaging: ImagingPool
    clock: Callable[[], datetime]
    spool_dir: Path
    test_images: int

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for the length of the block; what a crash leaves of it is swept."""
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="work-", dir=self.spool_dir, ignore_cleanup_errors=True) as name:
            yield Path(name)


def outcome(work: Future[Outcome], beat: Callable[[], None] | None = None) -> Outcome:
    """What came of a file's work. ``beat`` is called every 3 seconds of waiting, to renew what the work has a claim to.

    Raises ImagingError, ImagingInterrupted among them where the server was stopped.
    """
    while beat and not wait([work], timeout=BEAT_SECONDS).done:
        beat()
    try:
        return work.result()
    except CancelledError:
        raise ImagingInterrupted("The server was stopped while it worked on the file; send it again.") from None
