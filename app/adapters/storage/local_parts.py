"""Uploads in parts to a local folder, with the promises of S3.

Each upload has a folder of its own, under no key, with one file per part. A part is written aside
and then renamed into that folder, so that it is whole or not there. All is on disk, so an upload
goes on after a restart.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from app.adapters.storage.interface import StoredPart

COPIED_AT_ONCE = 1024 * 1024


class PartFolders:
    """One folder per upload below ``root``, whose name follows from the key and the id: one of them
    alone finds nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, key: str) -> str:
        parts_id = secrets.token_hex(16)
        self._folder(key, parts_id).mkdir(parents=True)
        return parts_id

    def check(self, key: str, parts_id: str) -> None:
        """Raises FileNotFoundError if the upload has ended."""
        self._folder(key, parts_id).stat()

    def path(self, key: str, parts_id: str, number: int) -> Path:
        """Where a part takes its place."""
        return self._folder(key, parts_id) / f"{number:05}"

    def stored(self, key: str, parts_id: str) -> list[StoredPart]:
        """Raises FileNotFoundError."""
        files = sorted(self._folder(key, parts_id).iterdir())
        return [StoredPart(int(one.name), *_size_and_etag(one.stat())) for one in files]

    def part(self, key: str, parts_id: str, number: int) -> StoredPart:
        """Raises FileNotFoundError."""
        found = self.path(key, parts_id, number).stat()
        return StoredPart(number, *_size_and_etag(found))

    @contextmanager
    def held(self, key: str, parts_id: str) -> Iterator[None]:
        """Hold the upload, so that many who complete it at once write one copy after the other, and
        only the first writes any. Raises FileNotFoundError if it has ended."""
        folder = os.open(self._folder(key, parts_id), os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def copy(self, key: str, parts_id: str, parts: Sequence[StoredPart], target: BinaryIO) -> None:
        """Write the parts one after the other. Raises FileNotFoundError if one has changed."""
        for part in parts:
            path = self.path(key, parts_id, part.number)
            with path.open("rb") as source:
                if _size_and_etag(os.fstat(source.fileno())) != (part.size, part.etag):
                    raise FileNotFoundError(path)
                shutil.copyfileobj(source, target, COPIED_AT_ONCE)

    def end(self, key: str, parts_id: str) -> None:
        shutil.rmtree(self._folder(key, parts_id), ignore_errors=True)

    def cleanup(self, before: datetime) -> int:
        removed = 0
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError):  # it ended just now
                if max(_changes(folder)) < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    removed += 1
        return removed

    def _folder(self, key: str, parts_id: str) -> Path:
        return self._root / hashlib.sha256(f"{parts_id} {key}".encode()).hexdigest()


def entity_tag(found: os.stat_result) -> str:
    """Every put creates a new file. Two within one tick of the file system's clock differ in their
    inode."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _size_and_etag(found: os.stat_result) -> tuple[int, str]:
    return found.st_size, entity_tag(found)


def _changes(folder: Path) -> Iterator[datetime]:
    """When the folder and its parts took their place."""
    for path in (folder, *folder.iterdir()):
        yield datetime.fromtimestamp(path.stat().st_ctime, UTC)
