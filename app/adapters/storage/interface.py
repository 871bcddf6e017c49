"""Where bytes are kept: objects under keys such as ``idempotency/req_…``, in a local folder or in
S3."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

OCTETS = "application/octet-stream"
NOT_PLAIN = re.compile(r"[^ !#$&'()+,\-.;=@\[\]^_`{}~0-9A-Za-z]")
"""Characters that a quoted file name leaves out: non-ASCII ones, quotes, separators of folders, and
``%``, which browsers decode."""


@dataclass(frozen=True)
class Stored:
    """An object as a listing shows it: its bytes, and when they were last written."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class StoredPart:
    """A part of an upload, which has arrived whole. ``etag`` changes when it is sent again."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True)
class PresignedUpload:
    """A URL that takes one PUT, of one object or of one part.

    ``url`` is absolute, or a path such as ``/storage/…`` that the surface completes with its own
    host. ``headers`` are those that the client must send.
    """

    url: str
    headers: dict[str, str]


class Storage(Protocol):
    """An object store. Keys are ours, never a client's: parts between slashes, none of them empty,
    ``.`` or ``..``.

    Every method that reaches a store over the network may raise DependencyDown.
    """

    @property
    def origin(self) -> str | None:
        """The origin of the signed URLs, such as ``https://s3.example``, which pages must allow
        browsers to ask; None if they are paths of this server."""

    def put(self, key: str, chunks: Iterable[bytes], content_type: str = OCTETS) -> None:
        """Store ``chunks`` as they come, in little memory. All or nothing: when ``chunks`` raises,
        nothing changes."""

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        """Make the finished file ``path`` the object. ``path`` stays, and nobody may write into it
        any more."""

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """The object's bytes from ``start`` up to ``end``, or to its own end: 0 <= ``start`` <
        ``end`` <= its size.

        Raises FileNotFoundError. Closing it early ends the transfer.
        """

    def fetch(self, key: str, path: Path) -> None:
        """Make the object the new file ``path``, into which nobody may write. Raises
        FileNotFoundError."""

    def size(self, key: str) -> int | None:
        """Bytes of the object, None where there is none."""

    def pages(self, prefix: str = "") -> Iterator[Sequence[Stored]]:
        """All objects whose keys begin with ``prefix``, which is empty or ends in a slash, at most
        1,000 at a time.

        They have no order. An object that is put or deleted meanwhile may be among them or not.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects. One that is not there is no error."""

    def presign_put(
        self, key: str, *, size: int, content_type: str, expires_at: datetime, now: datetime
    ) -> PresignedUpload:
        """A URL that takes the object from a client: exactly ``size`` bytes of that type, until it
        expires."""

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
        """A URL that answers with the object until it expires: ``inline`` as content of a page,
        else as a download.

        Absolute, or a path, as in ``PresignedUpload``. Whether the object exists is not looked up.
        """

    def begin_parts(self, key: str, content_type: str) -> str:
        """Begin to receive the object in parts, which may arrive in any order and repeatedly.
        Returns the id that names this upload, in at most 1,024 characters.

        Nothing is visible under ``key`` before ``complete_parts``. Each part but the last must have
        at least 5 MB, and there may be 10,000.
        """

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
        """A URL that takes part ``number``, from 1 on, of exactly ``size`` bytes, until it
        expires."""

    def parts(self, key: str, parts_id: str) -> list[StoredPart]:
        """The parts that have arrived, by number. Raises FileNotFoundError after the upload was
        completed or aborted."""

    def complete_parts(self, key: str, parts_id: str, parts: Sequence[StoredPart]) -> None:
        """Make the object of these parts, in little memory. All or nothing.

        Raises FileNotFoundError if the upload has ended, or a part was sent again since it was
        listed. Where it was completed before, it may do nothing instead, as S3 does.
        """

    def abort_parts(self, key: str, parts_id: str) -> None:
        """Remove all parts. An upload that has ended is no error."""

    def cleanup(self, before: datetime) -> int:
        """Remove what unfinished puts and uploads in parts left behind and last wrote to before
        ``before``. Returns how many."""

    def check(self) -> None:
        """Raise OSError unless objects can be stored and read now."""


def content_disposition(filename: str, *, inline: bool) -> str:
    """The header for a file name in any script: an ASCII one for old clients beside the true one
    (RFC 6266)."""
    kind = "inline" if inline else "attachment"
    decomposed = unicodedata.normalize("NFKD", filename)
    plain = NOT_PLAIN.sub("_", "".join(one for one in decomposed if not unicodedata.combining(one)))
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='!#$&+-.^_`|~')}"
