"""Uploads in two steps: a promise, with a signed URL to put the bytes to; then the asset, once they were looked at.

The client's bytes arrive under a key of their own (``incoming/…``). Finalizing takes them into the workshop, looks at
them there, and stores what was looked at under the asset's key: whoever still holds the signed URL can't change it.
"""

import hashlib
import re
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete, select, update

from app.adapters.storage import Presigned
from app.errors import AppError, BadRequest, Forbidden, NotFound, QuotaExceeded, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import ImagingInterrupted, Original, media
from app.models import Asset, MediaType, Upload, new_id
from app.services import assets, collections, space
from app.services.assets import Label
from app.services.principal import MEGABYTE, Principal
from app.services.workshop import Workshop
from app.tenancy import TenantSession

VALID = timedelta(minutes=15)
GRACE = timedelta(hours=1)
"""How long after its URL's end an upload may still be finalized: a transfer that began in time may take its time."""


@dataclass(frozen=True)
class Declared:
    """What the client says about a file, in both steps. ``size`` in bytes."""

    original_name: str
    mime_type: str
    size: int


@dataclass(frozen=True)
class Ticket:
    storage_key: str
    upload: Presigned
    expires_at: datetime


@dataclass(frozen=True)
class Examined:
    """What a file turned out to be, where it lies now, and its SHA-256."""

    original: Original
    path: Path
    thumbnail: Path
    content: str


def presign(principal: Principal, declared: Declared, shop: Workshop) -> Ticket:
    """Set the file's bytes aside and sign an upload of exactly this size and type.

    Raises BadRequest for a type that is not taken, TooLarge, QuotaExceeded.
    """
    _check_type(declared.mime_type)
    allowance = principal.allowance
    if declared.size > allowance.file_bytes:
        most = allowance.file_bytes // MEGABYTE
        raise TooLarge(f"The file is larger than {most} MB, the most that the {allowance.plan} plan allows.")
    now = shop.clock()
    key = _new_key(principal.org_id, declared.original_name, now)
    with transaction(*principal.partition) as session:
        _make_room(session, principal, declared.size, now)
        upload = Upload(
            id=new_id("upload", now),
            storage_key=key,
            mime_type=declared.mime_type,
            size=declared.size,
            created_at=now,
            expires_at=now + VALID,
        )
        session.add(upload)
    presigned = shop.storage.presign_put(
        incoming(key), size=declared.size, content_type=declared.mime_type, expires_at=upload.expires_at, now=now
    )
    return Ticket(key, presigned, upload.expires_at)


def finalize(
    principal: Principal, storage_key: str, declared: Declared, label: Label, shop: Workshop
) -> tuple[Asset, bool]:
    """The asset of an upload, and whether it was made now.

    Raises Forbidden for another organization's key, NotFound for one that was never given out or is over, BadRequest
    for an unknown collection, Unprocessable where nothing was uploaded yet. Where the file is not what was declared, or
    can't be read, it raises Unprocessable or what ``imaging`` says, and the upload is removed.
    """
    with transaction(*principal.partition) as session:
        collections.check(session, label.collection_id)
        if asset := _asset_of(session, storage_key):
            return asset, False
        upload = _upload_of(session, storage_key)
    with shop.folder() as folder:
        path = _fetch(upload, folder, shop)
        try:
            examined = _examine(path, upload, declared, shop)
        except AppError as refusal:
            if refusal.status < 500:
                _abandon(principal, upload)
            raise
        shop.storage.put_file(thumbnail_key(upload), examined.thumbnail, "image/webp")
        shop.storage.put_file(storage_key, examined.path, declared.mime_type)
    asset, made = _register(principal, upload, declared, examined, label, shop.clock())
    shop.storage.delete([incoming(storage_key)])
    return asset, made


def release_expired(session: TenantSession, now: datetime) -> int:
    """Forget uploads that are over and have their objects removed. Returns how many were abandoned.

    What was finalized stays: only what its signed URL may have brought since goes.
    """
    over = session.scalars(select(Upload).where(Upload.expires_at <= now - GRACE)).all()
    return sum(_forget(session, upload) for upload in over)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    rows = session.execute(select(Upload.org_id, Upload.mode).where(Upload.expires_at <= now - GRACE).distinct())
    return {(row.org_id, row.mode) for row in rows}


def incoming(storage_key: str) -> str:
    """Where an upload's bytes arrive."""
    return f"incoming/{storage_key}"


def thumbnail_key(upload: Upload) -> str:
    return f"thumbnails/{upload.org_id}/{upload.id}.webp"


def _new_key(org_id: str, name: str, now: datetime) -> str:
    """``orgs/<orgId>/YYYY/MM/<uuid>-<safe name>``."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[-100:] or "file"
    return f"orgs/{org_id}/{now:%Y/%m}/{uuid4()}-{safe}"


def _check_type(mime_type: str) -> None:
    if media.accepted(mime_type) is None:
        raise BadRequest(
            f"Files of the type '{mime_type}' are not taken: send an image, or a video as MP4, WebM or MOV.",
            errors=["mimeType: is not a supported media type"],
        )


def _make_room(session: TenantSession, principal: Principal, size: int, now: datetime) -> None:
    """Raises QuotaExceeded; but what abandoned uploads hold is given back before it comes to that."""
    try:
        space.take(session, principal.allowance, size)
    except QuotaExceeded:
        release_expired(session, now)
        space.take(session, principal.allowance, size)


def _asset_of(session: TenantSession, storage_key: str) -> Asset | None:
    return session.scalar(select(Asset).where(Asset.storage_key == storage_key))


def _upload_of(session: TenantSession, storage_key: str) -> Upload:
    if not storage_key.startswith(f"orgs/{session.org_id}/"):
        raise Forbidden("This storageKey belongs to another workspace. Use the one that presign gave you.")
    if upload := session.scalar(select(Upload).where(Upload.storage_key == storage_key)):
        return upload
    raise NotFound("There is no upload with this storageKey, or it has expired. Begin again with mode 'presign'.")


def _fetch(upload: Upload, folder: Path, shop: Workshop) -> Path:
    """The upload's file, in the workshop. It is under the asset's key where an earlier attempt ended half-way."""
    path = folder / "original"
    for key in (incoming(upload.storage_key), upload.storage_key):
        with suppress(FileNotFoundError):
            shop.storage.fetch(key, path)
            return path
    raise Unprocessable("Nothing was uploaded to this storageKey yet. PUT the file to its uploadUrl, then finalize.")


def _examine(path: Path, upload: Upload, declared: Declared, shop: Workshop) -> Examined:
    """What the file is. Raises Unprocessable, ImagingError."""
    size = path.stat().st_size
    if size != declared.size or size != upload.size:
        raise _mismatch("size", f"{declared.size:,} bytes were declared and {size:,} were uploaded")
    if declared.mime_type != upload.mime_type:
        raise _mismatch("mimeType", f"the upload was declared as '{upload.mime_type}'")
    thumbnail = path.with_name("thumbnail")
    try:
        original = shop.imaging.examine(path, thumbnail).result()
    except CancelledError:
        raise ImagingInterrupted("The server was stopped while it looked at the file; finalize again.") from None
    if not media.matches(declared.mime_type, original):
        raise _mismatch("mimeType", f"'{declared.mime_type}' was declared, and the file is '{original.mime}'")
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return Examined(original, path, thumbnail, content)


def _mismatch(field: str, problem: str) -> Unprocessable:
    return Unprocessable(
        f"The file is not what was declared: {problem}. It was removed; begin again with mode 'presign'.",
        errors=[f"{field}: {problem}"],
    )


def _register(
    principal: Principal, upload: Upload, declared: Declared, examined: Examined, label: Label, now: datetime
) -> tuple[Asset, bool]:
    """The asset's row, once: of parallel attempts one makes it and the others find it."""
    original = examined.original
    asset = Asset(
        id=new_id("video" if original.is_video else "image", now),
        media_type=MediaType.VIDEO if original.is_video else MediaType.IMAGE,
        original_name=declared.original_name,
        mime_type=media.accepted(declared.mime_type) or original.mime,
        kind=original.kind,
        size=upload.size,
        width=original.width,
        height=original.height,
        frames=original.frames,
        duration_ms=original.duration_ms,
        content=examined.content,
        storage_key=upload.storage_key,
        thumbnail_key=thumbnail_key(upload),
        uploaded_at=assets.to_milliseconds(now),
    )
    with transaction(*principal.partition) as session:
        mine = update(Upload).where(Upload.id == upload.id, Upload.asset_id.is_(None)).values(asset_id=asset.id)
        if session.change(mine):
            assets.add(session, asset, label)
            return asset, True
        if found := _asset_of(session, upload.storage_key):
            return found, False
        space.discard(session, _objects(upload))
    raise NotFound("The upload expired while it was finalized. Begin again with mode 'presign'.")


def _abandon(principal: Principal, upload: Upload) -> None:
    """Remove an upload that was refused, unless a parallel attempt has made an asset of it."""
    with transaction(*principal.partition) as session:
        if current := session.scalar(select(Upload).where(Upload.id == upload.id, Upload.asset_id.is_(None))):
            _forget(session, current)


def _forget(session: TenantSession, upload: Upload) -> bool:
    """Delete the row; True where it was abandoned, whose bytes are given back. Deleted by one of parallel callers."""
    abandoned = upload.asset_id is None
    ended = delete(Upload).where(Upload.id == upload.id)
    if not session.change(ended.where(Upload.asset_id.is_(None)) if abandoned else ended):
        return False
    if abandoned:
        space.give_back(session, upload.size)
    space.discard(session, _objects(upload) if abandoned else [incoming(upload.storage_key)])
    return abandoned


def _objects(upload: Upload) -> list[str]:
    return [incoming(upload.storage_key), upload.storage_key, thumbnail_key(upload)]
