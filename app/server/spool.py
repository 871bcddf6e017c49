"""Where bodies of requests lie until all of them is here: small ones in memory, the others on
disk."""

import tempfile
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

from app.errors import Overloaded

SHARE_BYTES = 512 * 1024
"""What one request or one answer may have in memory."""
SMALL_SHARE_BYTES = 64 * 1024
"""The same while many wait for their clients, so that a thousand of them take 64 MB and not half a
gigabyte."""
MEMORY_BYTES = 32 * 1024 * 1024
"""All requests and answers together, from which on the share is the small one."""
RETRY_AFTER_SECONDS = 10


class Spool:
    """Counts what all bodies and answers of a process take, and says when it is too much.

    ``most_bytes`` bounds the bodies, in memory and on disk. For any thread.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._lock = Lock()
        self.spooled_bytes = 0
        self.memory_bytes = 0

    @property
    def share(self) -> int:
        return SHARE_BYTES if self.memory_bytes < MEMORY_BYTES else SMALL_SHARE_BYTES

    def take(self, size: int) -> None:
        """Count ``size`` bytes of a body. Raises Overloaded where there is no room for them."""
        with self._lock:
            if self.spooled_bytes + size > self._most_bytes:
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
    """The body of one request. Its file has no name, so that nothing is left of a process that is
    killed."""

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
