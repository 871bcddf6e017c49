"""Holds request bodies until they are complete: small ones in memory, the others on disk."""

import tempfile
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

from app.errors import Overloaded

SHARE_BYTES = 512 * 1024
"""The most bytes that one request or answer may hold in memory."""
SMALL_SHARE_BYTES = 64 * 1024
"""The same limit above ``MEMORY_BYTES``, so that a thousand requests take 64 MB instead of 512
MB."""
MEMORY_BYTES = 32 * 1024 * 1024
"""When all requests and answers together hold this much, the share drops to SMALL_SHARE_BYTES."""
RETRY_AFTER_SECONDS = 10


class Spool:
    """Counts the bytes of all bodies and answers of a process, and refuses more than the limit.

    ``max_bytes`` limits the bodies, in memory and on disk. Thread-safe.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        self.spooled_bytes = 0
        self.memory_bytes = 0

    @property
    def share(self) -> int:
        return SHARE_BYTES if self.memory_bytes < MEMORY_BYTES else SMALL_SHARE_BYTES

    def take(self, size: int) -> None:
        """Count ``size`` bytes of a body. Raises Overloaded if they exceed the limit."""
        with self._lock:
            if self.spooled_bytes + size > self._max_bytes:
                raise Overloaded(
                    "The server has too many uploads at once. Send the request again.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self.spooled_bytes += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self.spooled_bytes -= size

    def in_memory(self, change: int) -> None:
        with self._lock:
            self.memory_bytes += change


class SpooledBody:
    """The body of one request. Its file has no name, so a killed process leaves nothing behind."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._file = tempfile.SpooledTemporaryFile(dir=str(spool.folder))  # noqa: SIM115  # closed by close()
        self._in_memory = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Raises Overloaded."""
        self._spool.take(len(data))
        self.size += len(data)
        self._file.write(data)
        if self._in_memory == self.size - len(data):
            self._stay(self.size if self.size <= self._spool.share else 0)

    def opened(self) -> BinaryIO:
        self._file.seek(0)
        return cast(BinaryIO, self._file)

    def close(self) -> None:
        self._file.close()
        self._spool.give_back(self.size)
        self._spool.in_memory(-self._in_memory)
        self.size = self._in_memory = 0

    def _stay(self, in_memory: int) -> None:
        if not in_memory and self.size:
            self._file.rollover()
        self._spool.in_memory(in_memory - self._in_memory)
        self._in_memory = in_memory
