"""Objects in a local folder, and signed URLs that the delivery surface answers."""

import io
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

from app.adapters.storage.interface import OCTETS, PresignedUpload, Stored, StoredPart
from app.adapters.storage.local_parts import PartFolders
from app.adapters.storage.local_urls import DownloadGrant, PartGrant, SignedUrls, UploadGrant

PAGE = 1000
UNFINISHED = ".unfinished"
"""Where objects are written before they take their place: on the same file system, easy to clean
up, under no key."""
PARTS = ".parts"
"""Where the parts of uploads wait for the last one, under no key."""
RESERVED = frozenset({UNFINISHED, PARTS})


class LocalStorage:
    """Objects as files below ``root``. ``secret_key`` signs the URLs."""

    def __init__(self, root: Path, secret_key: str) -> None:
        self.root = root
        self._parts = PartFolders(root / PARTS)
        self._uploads = SignedUrls(secret_key, "upload", UploadGrant)
        self._part_uploads = SignedUrls(secret_key, "part", PartGrant, "/storage/parts/")
        self._downloads = SignedUrls(secret_key, "download", DownloadGrant)

    @property
    def origin(self) -> None:
        return None

    def put(self, key: str, chunks: Iterable[bytes], content_type: str = OCTETS) -> None:
        with self._replacing(self._path(key)) as unfinished, unfinished.open("xb") as file:
            file.writelines(chunks)

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        with self._replacing(self._path(key)) as unfinished:
            _link_or_copy(path, unfinished)

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        file = self._path(key).open("rb")
        file.seek(start)
        return file if end is None else io.BufferedReader(Part(file, end - start))

    def fetch(self, key: str, path: Path) -> None:
        _link_or_copy(self._path(key), path)

    def size(self, key: str) -> int | None:
        try:
            return self.stat(key).st_size
        except FileNotFoundError:
            return None

    def stat(self, key: str) -> os.stat_result:
        """What the file system says of the object. Raises FileNotFoundError."""
        try:
            found = self._path(key).stat()
        except NotADirectoryError:
            raise FileNotFoundError(key) from None
        if not S_ISREG(found.st_mode):
            raise FileNotFoundError(key)
        return found

    def pages(self, prefix: str = "") -> Iterator[Sequence[Stored]]:
        found = self._walk(self.root / prefix)
        while page := list(islice(found, PAGE)):
            yield page

    def _walk(self, folder: Path) -> Iterator[Stored]:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if folder != self.root or entry.name not in RESERVED:
                        yield from self._walk(Path(entry.path))
                    continue
                with suppress(FileNotFoundError):  # it was deleted just now
                    stat = entry.stat()
                    key = str(Path(entry.path).relative_to(self.root))
                    # Not the modification time: a link to an old file would look old at once.
                    yield Stored(key, stat.st_size, datetime.fromtimestamp(stat.st_ctime, UTC))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def presign_put(
        self, key: str, *, size: int, content_type: str, expires_at: datetime, now: datetime
    ) -> PresignedUpload:
        grant = UploadGrant(int(expires_at.timestamp()), key, size, content_type)
        return PresignedUpload(self._uploads.url(grant), {"Content-Type": content_type})

    def presign_get(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        inline: bool,
        expires_at: datetime,
        now: datetime,
    ) -> str:
        return self._downloads.url(
            DownloadGrant(int(expires_at.timestamp()), key, filename, content_type, inline)
        )

    def read_upload_token(self, token: str, now: datetime) -> UploadGrant:
        """What ``presign_put`` granted. Raises Forbidden."""
        return self._uploads.read(token, now)

    def read_download_token(self, token: str, now: datetime) -> DownloadGrant:
        """What ``presign_get`` granted. Raises Forbidden."""
        return self._downloads.read(token, now)

    def begin_parts(self, key: str, content_type: str) -> str:
        self._path(key)
        return self._parts.begin(key)

    def presign_part(
        self,
        key: str,
        parts_id: str,
        number: int,
        *,
        size: int,
        expires_at: datetime,
        now: datetime,
    ) -> PresignedUpload:
        grant = PartGrant(int(expires_at.timestamp()), key, parts_id, number, size)
        return PresignedUpload(self._part_uploads.url(grant), {})

    def read_part_token(self, token: str, now: datetime) -> PartGrant:
        """What ``presign_part`` granted. Raises Forbidden."""
        return self._part_uploads.read(token, now)

    def put_part(self, key: str, parts_id: str, number: int, chunks: Iterable[bytes]) -> StoredPart:
        """Store a part as ``put`` stores an object. Raises FileNotFoundError if the upload has
        ended."""
        self._parts.check(key, parts_id)
        path = self._parts.path(key, parts_id, number)
        with self._replacing(path, new_folder=False) as unfinished, unfinished.open("xb") as file:
            file.writelines(chunks)
        return self._parts.part(key, parts_id, number)

    def parts(self, key: str, parts_id: str) -> list[StoredPart]:
        return self._parts.stored(key, parts_id)

    def complete_parts(self, key: str, parts_id: str, parts: Sequence[StoredPart]) -> None:
        with self._parts.held(key, parts_id):
            with self._replacing(self._path(key)) as unfinished, unfinished.open("xb") as file:
                self._parts.copy(key, parts_id, parts, file)
            self._parts.end(key, parts_id)

    def abort_parts(self, key: str, parts_id: str) -> None:
        self._parts.end(key, parts_id)

    def cleanup(self, before: datetime) -> int:
        removed = self._parts.cleanup(before)
        folder = self.root / UNFINISHED
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):  # it was finished just now
                # Not the modification time: a link to an old file would look abandoned at once.
                if datetime.fromtimestamp(path.stat().st_ctime, UTC) < before:
                    path.unlink()
                    removed += 1
        return removed

    def check(self) -> None:
        key = f"check/{secrets.token_hex(8)}"
        self.put(key, [b"ready"])
        with self.open(key) as file:
            if file.read() != b"ready":
                raise OSError("storage returned other bytes than were written")
        self.delete([key])

    @contextmanager
    def _replacing(self, path: Path, *, new_folder: bool = True) -> Iterator[Path]:
        """A path to write to. Unless the block raises, the file takes its place at ``path``,
        durably; in a folder that is made if need be, unless ``new_folder`` is False."""
        folder = self.root / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / secrets.token_hex(16)
        try:
            yield unfinished
            _sync(unfinished)
            if new_folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.replace(path)
            _sync(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if parts[0] in RESERVED or any(part in ("", ".", "..") for part in parts):
            raise ValueError("a storage key may not leave its folder")
        return self.root / key


class Part(io.RawIOBase):
    """The next ``size`` bytes of an open file. Closing it closes the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(min(len(buffer), self._left))
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


def _link_or_copy(source: Path, target: Path) -> None:
    """Make ``target`` a new file with the bytes of ``source``. Raises FileNotFoundError,
    FileExistsError."""
    try:
        target.hardlink_to(source)
    except OSError:
        with source.open("rb") as reader, target.open("xb") as writer, ExitStack() as undo:
            undo.callback(target.unlink)
            shutil.copyfileobj(reader, writer)
            undo.pop_all()


def _sync(path: Path) -> None:
    """Flush the bytes of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
