"""Read a source by memory map, and write a target whole or not at all."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.imaging.engine.containers.header import Data
from app.imaging.errors import EMPTY, UnreadableImage
from app.imaging.work import part_of


@contextmanager
def mapped(path: Path) -> Iterator[Data]:
    """A file's bytes, of which only those are read that are looked at. UnreadableImage for an empty
    file."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnreadableImage(EMPTY)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def write(target: Path, content: bytes) -> None:
    """Put a finished file in its place at once; a failure leaves nothing behind."""
    part = part_of(target)
    try:
        part.write_bytes(content)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
