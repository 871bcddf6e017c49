"""Uploads in two steps: a grant, with a signed URL to put the bytes to; then the asset, once they
were looked at.

The client's bytes arrive under a key of their own (``incoming/…``). Finalizing fetches
them, examines them, and stores what was examined under the asset's key: whoever still
holds the signed URL can't change it.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from app.adapters.storage.interface import PresignedUpload, Storage
from app.errors import AppError, BadRequest, Forbidden, NotFound, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import media
from app.models import Asset, Mode, Upload
from app.services import discarded_objects
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.library import collections, ingest
from app.services.library.assets import Label
from app.services.library.ingest import ExaminedFile, incoming
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Declared:
    """What the client says about a file, in both steps. ``size`` in bytes."""

    original_name: str
    mime_type: str
    size: int


@dataclass(frozen=True)
class Ticket:
    storage_key: str
    upload: PresignedUpload
    expires_at: datetime


def presign(principal: Principal, declared: Declared, storage: Storage, now: datetime) -> Ticket:
    """Set the file's bytes aside and sign an upload of exactly this size and type.

    Raises BadRequest for a type that is not taken, TooLarge, QuotaExceeded.
    """
    _check_type(declared.mime_type)
    allowance = principal.allowance
    if declared.size > allowance.file_bytes:
        most = allowance.file_bytes // MEGABYTE
        raise TooLarge(
            f"The file is larger than {most} MB, the most that the {allowance.plan} plan allows."
        )
    with transaction(*principal.partition) as session:
        upload = ingest.reserve_upload(
            session, principal, declared.original_name, declared.mime_type, declared.size, now
        )
    key, expires_at = upload.storage_key, upload.expires_at
    presigned = storage.presign_put(
        incoming(key),
        size=declared.size,
        content_type=declared.mime_type,
        expires_at=expires_at,
        now=now,
    )
    return Ticket(key, presigned, expires_at)


def finalize(
    principal: Principal,
    storage_key: str,
    declared: Declared,
    label: Label,
    context: ProcessingContext,
) -> tuple[Asset, bool]:
    """The asset of an upload, and whether it was made now.

    Raises Forbidden for another organization's key, NotFound for one that was never given out or is
    over, BadRequest for an unknown collection, Unprocessable where nothing was uploaded yet or
    where it was refused before. Where the file is not what was declared, or can't be read, it
    raises Unprocessable or what ``imaging`` says, and the file is removed.
    """
    with transaction(*principal.partition) as session:
        collections.check(session, label.collection_id)
        if asset := _asset_of(session, storage_key):
            return asset, False
        upload = _upload_of(session, storage_key)
    with context.folder() as folder:
        path = _fetch(upload, folder, context)
        try:
            arrival = _examine(path, upload, declared, context)
        except AppError as refusal:
            if refusal.status < 500:
                ingest.refuse(principal, upload, refusal.message)
            raise
        ingest.store(upload, arrival, context)
        asset, made = _register(
            principal, upload, arrival, declared.original_name, label, context.clock()
        )
    context.storage.delete([incoming(storage_key)])
    return asset, made


def _check_type(mime_type: str) -> None:
    if media.accepted(mime_type) is None:
        raise BadRequest(
            f"Files of the type '{mime_type}' are not taken: send an image, or a video as MP4, "
            "WebM or MOV.",
            errors=["mimeType: is not a supported media type"],
        )


def _asset_of(session: TenantSession, storage_key: str) -> Asset | None:
    return session.scalar(select(Asset).where(Asset.storage_key == storage_key))


def _upload_of(session: TenantSession, storage_key: str) -> Upload:
    if not storage_key.startswith(f"orgs/{session.org_id}/"):
        raise Forbidden(
            "This storageKey belongs to another workspace. Use the one that presign gave you."
        )
    if upload := session.scalar(select(Upload).where(Upload.storage_key == storage_key)):
        if upload.refused:
            raise Unprocessable(
                f"This upload was refused, and stays refused: {upload.refused} Begin again with "
                "mode 'presign'."
            )
        return upload
    raise NotFound(
        "There is no upload with this storageKey, or it has expired. Begin again with mode "
        "'presign'."
    )


def _fetch(upload: Upload, folder: Path, context: ProcessingContext) -> Path:
    """The upload's file, in the folder. It is under the asset's key where an earlier attempt
    ended half-way."""
    path = folder / "original"
    for key in (incoming(upload.storage_key), upload.storage_key):
        with suppress(FileNotFoundError):
            context.storage.fetch(key, path)
            return path
    raise Unprocessable(
        "Nothing was uploaded to this storageKey yet. PUT the file to its uploadUrl, then finalize."
    )


def _examine(
    path: Path, upload: Upload, declared: Declared, context: ProcessingContext
) -> ExaminedFile:
    """What the file is. Raises Unprocessable, ImagingError."""
    size = path.stat().st_size
    if size != declared.size or size != upload.size:
        raise _mismatch("size", f"{declared.size:,} bytes were declared and {size:,} were uploaded")
    if media.accepted(declared.mime_type) != media.accepted(upload.mime_type):
        raise _mismatch("mimeType", f"the upload was declared as '{upload.mime_type}'")
    thumbnail = path.with_name("thumbnail")
    examined = context.imaging.examine(
        path, thumbnail, upload.org_id, watermarked_for_test=upload.mode == Mode.TEST
    )
    original = context.outcome(examined)
    if not media.matches(declared.mime_type, original):
        raise _mismatch(
            "mimeType", f"'{declared.mime_type}' was declared, and the file is '{original.mime}'"
        )
    return ExaminedFile.examined(path, thumbnail, original, media.accepted(declared.mime_type))


def _mismatch(field: str, problem: str) -> Unprocessable:
    return Unprocessable(
        f"The file is not what was declared: {problem}. Begin again with mode 'presign'.",
        errors=[f"{field}: {problem}"],
    )


def _register(
    principal: Principal,
    upload: Upload,
    arrival: ExaminedFile,
    original_name: str,
    label: Label,
    now: datetime,
) -> tuple[Asset, bool]:
    """The asset's row, once: of parallel attempts one makes it and the others find it."""
    with transaction(*principal.partition) as session:
        if asset := ingest.register(session, upload, arrival, original_name, label, now):
            return asset, True
        if found := _asset_of(session, upload.storage_key):
            return found, False
        discarded_objects.discard(session, ingest.objects(upload))
    raise NotFound("The upload expired while it was finalized. Begin again with mode 'presign'.")
