"""Where bytes are kept: objects under keys such as ``idempotency/req_…``."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol


class Storage(Protocol):
    """An object store. Keys are ours, never a client's; a put is all or nothing."""

    def put(self, key: str, chunks: Iterable[bytes]) -> None: ...

    def open(self, key: str) -> BinaryIO:
        """The object's bytes. Raises FileNotFoundError."""

    def delete(self, key: str) -> None:
        """Remove the object; it is no error when it is not there."""

    def check(self) -> None:
        """Raise OSError unless objects can be written and read now."""


class LocalStorage:
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, chunks: Iterable[bytes]) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with unfinished.open("wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO:
        return self._path(key).open("rb")

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def check(self) -> None:
        key = f"check/{secrets.token_hex(8)}"
        self.put(key, [b"ready"])
        with self.open(key) as file:
            if file.read() != b"ready":
                raise OSError("storage returned other bytes than were written")
        self.delete(key)

    def _path(self, key: str) -> Path:
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError("a storage key may not leave its folder")
        return path
