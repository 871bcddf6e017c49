"""Reading a source by memory map, writing a target whole or not at all."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.imaging.containers.header import Data
from app.imaging.errors import EMPTY, UnreadableImage


@contextmanager
def mapped(path: Path) -> Iterator[Data]:
    """A file's bytes, without reading more of them than are looked at. UnreadableImage for an empty
    file."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnreadableImage(EMPTY)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def part_of(target: Path) -> Path:
    """Where a target's bytes are while they are incomplete."""
    return target.with_name(target.name + ".part")


def write(target: Path, content: bytes) -> None:
    """Put a finished file in its place at once; a failure leaves nothing behind."""
    part = part_of(target)
    try:
        part.write_bytes(content)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
