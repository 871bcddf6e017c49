"""ZIP archives as streams: entries are stored without compression, one after the other, as they
arrive."""

import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

from stream_zip import NO_COMPRESSION_32, NO_COMPRESSION_64, MemberFile, Method, _flush, stream_zip

CHUNK_BYTES = 64 * 1024
"""stream-zip passes chunks of exactly this size on without copying them."""
FILE_MODE = stat.S_IFREG | 0o644
MAX_HEADER_BYTES = 128
"""The largest size of an entry's headers without its name, in bytes."""
LIMIT_32 = 0xFFFFFFFF
ENTRIES_32 = 0xFFFF - 1
"""The limits of archives that older programs can open too. The highest value of a 32-bit field
means that a 64-bit field follows."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive. ``size`` in bytes and ``crc32`` are written before the ``chunks``, so
    they must be known first."""

    name: str
    modified_at: datetime
    size: int
    crc32: int
    chunks: Iterable[bytes]

    @classmethod
    def of_bytes(cls, name: str, modified_at: datetime, content: bytes) -> Self:
        return cls(name, modified_at, len(content), zlib.crc32(content), [content])


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the archive's bytes in chunks of at most 64 KB. All bytes of an entry are yielded
    before the next entry is requested.

    Raises ZipIntegrityError for an entry whose chunks don't match its size and checksum.
    """
    yield from stream_zip(_members(entries), chunk_size=CHUNK_BYTES)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The rest of ``file`` in chunks that ``stream`` does not copy."""
    return iter(partial(file.read, CHUNK_BYTES), b"")


def measured(path: Path) -> tuple[int, int]:
    """The size in bytes and the CRC-32 of a file."""
    size = crc32 = 0
    with path.open("rb") as file:
        for chunk in chunks_of(file):
            size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
    return size, crc32


def consumed(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes. The file is removed as soon as it is open."""
    with path.open("rb") as file:
        path.unlink()
        yield from chunks_of(file)


def _members(entries: Iterable[Entry]) -> Iterator[MemberFile]:
    end = 0
    for number, entry in enumerate(entries, 1):
        end += MAX_HEADER_BYTES + len(entry.name.encode()) + entry.size
        yield (
            entry.name,
            entry.modified_at,
            FILE_MODE,
            _method(entry, number, end),
            _flushed(entry.chunks),
        )


def _method(entry: Entry, number: int, end: int) -> Method:
    """Stored without compression, in 64 bits if 32 can't hold the entry's ``number`` or its ``end``
    in bytes."""
    width = NO_COMPRESSION_32 if number <= ENTRIES_32 and end < LIMIT_32 else NO_COMPRESSION_64
    return width(entry.size, entry.crc32)


def _flushed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ``chunks``, then stream-zip's own sign to send an incomplete chunk.

    The sign is left out if nothing is gathered, because stream-zip would take it for the end of the
    archive.
    """
    gathered = 0
    for chunk in chunks:
        gathered = (gathered + len(chunk)) % CHUNK_BYTES
        yield chunk
    if gathered:
        yield _flush
