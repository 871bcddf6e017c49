"""Uploads in parts, for large files: a part that was lost on the way is sent again, not the file.

``uploads.finalize`` follows ``complete``, as it follows the PUT of a small file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from app.adapters.storage.interface import PresignedUpload, Storage, StoredPart
from app.errors import AppError, BadRequest, NotFound, Unprocessable
from app.extensions import transaction
from app.models import Upload
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.library import ingest, uploads
from app.services.library.ingest import URL_LIFETIME, incoming
from app.services.library.uploads import DeclaredFile
from app.tenancy import TenantSession

FROM_SIZE = 50 * MEGABYTE
"""Larger files are worth the parts."""
PART_BYTES = 16 * MEGABYTE
MOST_PARTS = 10_000
LONGEST = timedelta(hours=24)
"""How long the parts of one file may take."""
MOST_NAMED = 20
GONE = "The parts of this upload are not there any more. Begin again."


@dataclass(frozen=True)
class PartsSlot:
    """``part_size`` is in bytes; the last of the ``count`` parts has what is left."""

    storage_key: str
    part_size: int
    count: int
    expires_at: datetime


@dataclass(frozen=True)
class PresignedPart:
    number: int
    size: int
    upload: PresignedUpload


def part_size(size: int) -> int:
    """Bytes of each part but the last, so that 10,000 suffice for a file of ``size`` bytes."""
    least = -(-size // MOST_PARTS)
    return max(PART_BYTES, -(-least // MEGABYTE) * MEGABYTE)


def part_sizes(size: int) -> list[int]:
    """Bytes of all parts."""
    each = part_size(size)
    return [min(each, size - start) for start in range(0, size, each)]


def begin(
    principal: Principal, declared: DeclaredFile, storage: Storage, now: datetime
) -> PartsSlot:
    """Reserve the file's bytes and begin an upload in parts. Raises as ``uploads.presign`` does."""
    upload = uploads.reserve(principal, declared, now)
    try:
        parts_id = storage.begin_parts(incoming(upload.storage_key), declared.mime_type)
    except AppError:
        ingest.abandon(principal, upload)
        raise
    with transaction(*principal.partition) as session:
        session.change(update(Upload).where(Upload.id == upload.id).values(multipart_id=parts_id))
    count = len(part_sizes(declared.size))
    return PartsSlot(upload.storage_key, part_size(declared.size), count, upload.expires_at)


def sign(
    principal: Principal, storage_key: str, numbers: Sequence[int], storage: Storage, now: datetime
) -> list[PresignedPart]:
    """Sign the PUT of each of these parts, and keep the upload as long as its new URLs are valid.

    Raises NotFound, BadRequest for a part that the file has not, Unprocessable once the upload was
    refused or has taken longer than a day.
    """
    with transaction(*principal.partition) as session:
        upload = _of(session, storage_key)
        sizes = part_sizes(upload.size)
        if unknown := [number for number in numbers if not 1 <= number <= len(sizes)]:
            raise BadRequest.of_fields(
                [f"numbers: the file has the parts 1 to {len(sizes)}, and no {unknown[0]}"],
                "Some parts are unknown.",
            )
        last = upload.created_at + LONGEST
        if now >= last:
            raise Unprocessable("This upload took longer than a day. Begin again.")
        expires_at = min(now + URL_LIFETIME, last)
        session.change(
            update(Upload)
            .where(Upload.id == upload.id, ingest.UNDECIDED)
            .values(expires_at=expires_at)
        )
    key, parts_id = incoming(storage_key), str(upload.multipart_id)
    return [
        PresignedPart(
            number,
            size := sizes[number - 1],
            storage.presign_part(key, parts_id, number, size=size, expires_at=expires_at, now=now),
        )
        for number in numbers
    ]


def arrived(principal: Principal, storage_key: str, storage: Storage) -> list[int]:
    """The numbers of the parts that are there, whole. Raises NotFound, Unprocessable."""
    with transaction(*principal.partition) as session:
        upload = _of(session, storage_key)
    sizes = part_sizes(upload.size)
    if (parts := _stored(upload, storage)) is None:
        return list(range(1, len(sizes) + 1))
    return [
        part.number
        for part in parts
        if part.number <= len(sizes) and part.size == sizes[part.number - 1]
    ]


def complete(principal: Principal, storage_key: str, storage: Storage) -> None:
    """Put the parts together. It may be repeated.

    Raises NotFound, and Unprocessable naming the parts that are missing.
    """
    with transaction(*principal.partition) as session:
        upload = _of(session, storage_key)
    if upload.asset_id or (parts := _stored(upload, storage)) is None:
        return
    sizes = dict(enumerate(part_sizes(upload.size), 1))
    there = {part.number: part.size for part in parts}
    if missing := [str(number) for number, size in sizes.items() if there.get(number) != size]:
        raise Unprocessable(
            f"{len(missing):,} of {len(sizes):,} parts are missing. Send them, then complete the "
            "upload.",
            errors=[f"parts: {', '.join(missing[:MOST_NAMED])} are missing"],
        )
    if there.keys() != sizes.keys():
        raise Unprocessable("The upload has more parts than the file. Begin again.")
    try:
        storage.complete_parts(incoming(storage_key), str(upload.multipart_id), parts)
    except FileNotFoundError:
        _require_whole(upload, storage)


def cancel(principal: Principal, storage_key: str, storage: Storage, now: datetime) -> None:
    """Abandon an upload, in parts or not. It may be repeated, and does nothing to an upload that
    has become an asset. The bytes of one in parts are released at once, as its URLs end."""
    with transaction(*principal.partition) as session:
        upload = session.scalar(select(Upload).where(Upload.storage_key == storage_key))
    if upload is None or upload.asset_id:
        return
    if not upload.multipart_id:
        ingest.withdraw(principal, upload, now)
        return
    ingest.abandon(principal, upload)
    storage.abort_parts(incoming(storage_key), upload.multipart_id)


def _of(session: TenantSession, storage_key: str) -> Upload:
    """The upload in parts. Raises NotFound for any other, Unprocessable after a refusal."""
    upload = session.scalar(
        select(Upload).where(Upload.storage_key == storage_key, Upload.multipart_id.is_not(None))
    )
    if upload is None:
        raise NotFound("There is no such upload in parts, or it has expired. Begin again.")
    if upload.refused:
        raise Unprocessable(f"This upload was refused, and stays refused: {upload.refused}")
    return upload


def _stored(upload: Upload, storage: Storage) -> list[StoredPart] | None:
    """The parts in storage; None if they are one file by now. Raises Unprocessable."""
    try:
        return storage.parts(incoming(upload.storage_key), str(upload.multipart_id))
    except FileNotFoundError:
        if not upload.asset_id:
            _require_whole(upload, storage)
        return None


def _require_whole(upload: Upload, storage: Storage) -> None:
    """Raises Unprocessable unless the parts were put together before."""
    if storage.size(incoming(upload.storage_key)) != upload.size:
        raise Unprocessable(GONE)
