"""What work on files needs, in one value that services are handed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from app.adapters.storage import Storage
from app.imaging import ImagingPool


@dataclass(frozen=True)
class Workshop:
    """Where objects are kept, who works on pictures, what time it is, and a place for files in between."""

    storage: Storage
    imaging: ImagingPool
    clock: Callable[[], datetime]
    spool_dir: Path

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for the length of the block; what a crash leaves of it is swept."""
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="work-", dir=self.spool_dir, ignore_cleanup_errors=True) as name:
            yield Path(name)
