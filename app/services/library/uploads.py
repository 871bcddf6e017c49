"""Uploads in two steps: first a grant with a signed URL for the bytes, then the asset, after the
bytes were examined.

The client uploads the bytes to a separate key (``incoming/…``). Finalizing fetches them, examines
them, and stores the examined bytes under the asset's key, which the signed URL can't change.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import and_, or_, select

from app.adapters.storage.interface import PresignedUpload, Storage
from app.errors import AppError, BadRequest, Forbidden, NotFound, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import media
from app.models import Asset, Mode, Origin, Upload
from app.services import discarded_objects
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.library import collections, ingest, trash
from app.services.library.assets import Label
from app.services.library.ingest import ExaminedFile, incoming
from app.services.library.provenance import Provenance
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession


@dataclass(frozen=True)
class DeclaredFile:
    """The client's declaration of a file, in both steps. ``size`` is in bytes.

    ``is_guess`` is whether the type was told from the file's name, as browsers do: then the type
    that the content has counts.
    """

    original_name: str
    mime_type: str
    size: int
    is_guess: bool = False


@dataclass(frozen=True)
class UploadSlot:
    storage_key: str
    upload: PresignedUpload
    expires_at: datetime


def presign(
    principal: Principal, declared: DeclaredFile, storage: Storage, now: datetime
) -> UploadSlot:
    """Reserve the file's bytes and sign an upload of exactly this size and type. Raises as
    ``reserve`` does."""
    upload = reserve(principal, declared, now)
    key, expires_at = upload.storage_key, upload.expires_at
    presigned = storage.presign_put(
        incoming(key),
        size=declared.size,
        content_type=declared.mime_type,
        expires_at=expires_at,
        now=now,
    )
    return UploadSlot(key, presigned, expires_at)


def reserve(principal: Principal, declared: DeclaredFile, now: datetime) -> Upload:
    """Reserve the file's bytes. Raises BadRequest for a type that is not supported, TooLarge,
    QuotaExceeded."""
    _check_type(declared.mime_type)
    allowance = principal.allowance
    if declared.size > allowance.file_bytes:
        most = allowance.file_bytes // MEGABYTE
        raise TooLarge(
            f"The file is larger than {most} MB, the most that the {allowance.plan} plan allows."
        )
    with transaction(*principal.partition) as session:
        return ingest.reserve_upload(
            session, principal, declared.original_name, declared.mime_type, declared.size, now
        )


def finalize(
    principal: Principal,
    storage_key: str,
    declared: DeclaredFile,
    label: Label,
    context: ProcessingContext,
) -> tuple[Asset, bool]:
    """Make the asset of an upload. Returns it and whether it was made now.

    Raises Forbidden for another organization's key, NotFound for an unknown or expired key,
    BadRequest for an unknown collection, Unprocessable if nothing was uploaded yet or the upload
    was refused before. If the file does not match its declaration or can't be read, raises
    Unprocessable or ImagingError, and the file is removed.
    """
    with transaction(*principal.partition) as session:
        collections.check(session, label.collection_id)
        if asset := _asset_of(session, storage_key):
            return asset, False
        upload = _upload_of(session, storage_key)
    with context.folder() as folder:
        path = _fetch(upload, folder, context)
        try:
            file = _examine(path, upload, declared, context)
        except AppError as refusal:
            if refusal.status < 500:
                ingest.refuse(principal, upload, refusal.message)
            raise
        ingest.store(upload, file, context)
        asset, made = _register(
            principal, upload, file, declared.original_name, label, context.clock()
        )
    context.storage.delete([incoming(storage_key)])
    return asset, made


def duplicate_of(session: TenantSession, asset: Asset) -> Asset | None:
    """The first older asset with the same bytes."""
    older = and_(Asset.uploaded_at == asset.uploaded_at, Asset.id < asset.id)
    return session.scalar(
        select(Asset)
        .where(
            Asset.content == asset.content,
            or_(Asset.uploaded_at < asset.uploaded_at, older),
        )
        .order_by(Asset.uploaded_at, Asset.id)
        .limit(1)
    )


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
        if upload.asset_id:
            raise _deleted()
        if upload.refused:
            raise Unprocessable(f"This upload was refused, and stays refused: {upload.refused}")
        return upload
    raise NotFound(
        "There is no upload with this storageKey, or it has expired. Begin the upload again."
    )


def _deleted() -> NotFound:
    return NotFound("The asset of this upload was deleted. Begin again with mode 'presign'.")


def _fetch(upload: Upload, folder: Path, context: ProcessingContext) -> Path:
    """Fetch the upload's file. It is under the asset's key if an earlier attempt stored it but did
    not finish."""
    path = folder / "original"
    for key in (incoming(upload.storage_key), upload.storage_key):
        with suppress(FileNotFoundError):
            context.storage.fetch(key, path)
            return path
    raise Unprocessable(
        "Nothing was uploaded to this storageKey yet. PUT the file to its uploadUrl, then finalize."
    )


def _examine(
    path: Path, upload: Upload, declared: DeclaredFile, context: ProcessingContext
) -> ExaminedFile:
    """Examine the file. Raises Unprocessable, ImagingError."""
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
    is_as_declared = media.matches(declared.mime_type, original)
    if not is_as_declared and not declared.is_guess:
        raise _mismatch(
            "mimeType", f"'{declared.mime_type}' was declared, and the file is '{original.mime}'"
        )
    mime_type = media.accepted(declared.mime_type) if is_as_declared else original.mime
    return ExaminedFile.examined(path, thumbnail, original, mime_type)


def _mismatch(field: str, problem: str) -> Unprocessable:
    return Unprocessable(
        f"The file is not what was declared: {problem}. Begin the upload again.",
        errors=[f"{field}: {problem}"],
    )


def _register(
    principal: Principal,
    upload: Upload,
    file: ExaminedFile,
    original_name: str,
    label: Label,
    now: datetime,
) -> tuple[Asset, bool]:
    """Add the asset's row. Of parallel attempts one adds it and the others find it."""
    with transaction(*principal.partition) as session:
        provenance = Provenance(principal.actor, Origin.UPLOAD)
        if asset := ingest.register(session, upload, file, original_name, label, provenance, now):
            return asset, True
        if found := _asset_of(session, upload.storage_key):
            return found, False
        if trash.holds_file(session, upload.storage_key):
            raise _deleted()
        discarded_objects.discard(session, ingest.objects(upload))
    raise NotFound("The upload expired while it was finalized. Begin the upload again.")
