"""ZIP archives as streams: files that are compressed already, stored one after the other while they
come."""

import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import BinaryIO, Self

from stream_zip import NO_COMPRESSION_32, NO_COMPRESSION_64, MemberFile, Method, _flush, stream_zip

CHUNK_BYTES = 64 * 1024
"""stream-zip passes chunks of just this size on without copying them."""
FILE_MODE = stat.S_IFREG | 0o644
LONGEST_HEADER = 128
"""Of an entry, without its name, in bytes."""
LIMIT_32 = 0xFFFFFFFF
ENTRIES_32 = 0xFFFF - 1
"""What archives hold that older programs can open, too: the last value of each field means 64
bits."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive. ``size`` in bytes and ``crc32`` stand before the ``chunks``, so they
    are known first."""

    name: str
    modified_at: datetime
    size: int
    crc32: int
    chunks: Iterable[bytes]

    @classmethod
    def of_bytes(cls, name: str, modified_at: datetime, content: bytes) -> Self:
        return cls(name, modified_at, len(content), zlib.crc32(content), [content])


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The archive's bytes, in chunks of at most 64 KB. All of an entry leave before the next one is
    asked for.

    Raises ZipIntegrityError for an entry whose chunks are not what its size and checksum say.
    """
    yield from stream_zip(_members(entries), chunk_size=CHUNK_BYTES)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The rest of ``file`` in chunks that ``stream`` does not copy."""
    return iter(partial(file.read, CHUNK_BYTES), b"")


def _members(entries: Iterable[Entry]) -> Iterator[MemberFile]:
    end = 0
    for number, entry in enumerate(entries, 1):
        end += LONGEST_HEADER + len(entry.name.encode()) + entry.size
        yield (
            entry.name,
            entry.modified_at,
            FILE_MODE,
            _method(entry, number, end),
            _let_go(entry.chunks),
        )


def _method(entry: Entry, number: int, end: int) -> Method:
    """Stored, in 64 bits where an entry is the ``number``-th one or ends near byte ``end`` and 32
    don't hold that."""
    width = NO_COMPRESSION_32 if number <= ENTRIES_32 and end < LIMIT_32 else NO_COMPRESSION_64
    return width(entry.size, entry.crc32)


def _let_go(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """``chunks``, and after them stream-zip's own sign to send what it gathers for a full chunk.

    With nothing gathered it would take the sign for the end of the archive.
    """
    gathered = 0
    for chunk in chunks:
        gathered = (gathered + len(chunk)) % CHUNK_BYTES
        yield chunk
    if gathered:
        yield _flush
