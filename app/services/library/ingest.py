"""Adds a file to the library: reserves its space, stores its bytes, then adds its row.

A row of ``Upload`` is written first. It reserves the bytes and names the keys before anything is
stored, so that an upload that a refusal or a crash interrupts is found and removed
(docs/decisions/008).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import and_, delete, select, update

from app.errors import QuotaExceeded
from app.extensions import transaction
from app.imaging import Original, Picture
from app.models import Asset, MediaType, Upload, new_id
from app.services import discarded_objects
from app.services.accounts.principal import Principal
from app.services.checksums import sha256_of
from app.services.library import assets, storage_quota
from app.services.library.assets import Label
from app.services.library.provenance import Provenance
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession, partitions_with

INCOMING = "incoming/"
URL_LIFETIME = timedelta(minutes=15)
TRANSFER_GRACE = timedelta(hours=1)
"""How long after its URL has expired an upload may still become an asset, because a transfer that
began in time may take long."""
UNFINISHED_FOR = 2 * TRANSFER_GRACE
"""How long storage keeps an object, or an upload in parts, that gets no more bytes. It is longer
than a row outlives the last URL of a part, because rows lead and objects follow."""


UNDECIDED = and_(Upload.asset_id.is_(None), Upload.refused.is_(None))


@dataclass(frozen=True)
class ExaminedFile:
    """A file that was examined, with its thumbnail. The other fields are those of ``Asset``."""

    path: Path
    thumbnail: Path
    content: str
    mime_type: str
    kind: str
    width: int
    height: int
    frames: int
    duration_ms: int | None = None
    is_video: bool = False

    @classmethod
    def examined(
        cls, path: Path, thumbnail: Path, found: Original, mime_type: str | None = None
    ) -> "ExaminedFile":
        """A client's file, with the declared media type if there is one, else with the detected
        type."""
        return cls(
            path=path,
            thumbnail=thumbnail,
            content=sha256_of(path),
            mime_type=mime_type or found.mime,
            kind=found.kind,
            width=found.width,
            height=found.height,
            frames=found.frames,
            duration_ms=found.duration_ms,
            is_video=found.is_video,
        )

    @classmethod
    def derived(cls, path: Path, thumbnail: Path, picture: Picture) -> "ExaminedFile":
        """A picture that the imaging pool rendered."""
        return cls(
            path=path,
            thumbnail=thumbnail,
            content=sha256_of(path),
            mime_type=picture.format.mime,
            kind=picture.format.value,
            width=picture.width,
            height=picture.height,
            frames=picture.frames,
        )


def reserve_upload(
    session: TenantSession,
    principal: Principal,
    original_name: str,
    mime_type: str,
    size: int,
    now: datetime,
) -> Upload:
    """Reserve ``size`` bytes for a file and choose its storage key. Raises QuotaExceeded.

    If there is no room, the bytes of abandoned uploads are released first.
    """
    try:
        storage_quota.reserve(session, principal.allowance, size)
    except QuotaExceeded:
        release_expired(session, now)
        storage_quota.reserve(session, principal.allowance, size)
    upload = Upload(
        id=new_id("upload", now),
        storage_key=_new_key(principal.org_id, original_name, now),
        mime_type=mime_type,
        size=size,
        created_at=now,
        expires_at=now + URL_LIFETIME,
    )
    session.add(upload)
    return upload


def store(upload: Upload, file: ExaminedFile, context: ProcessingContext) -> None:
    """Store the file and its thumbnail. It may be repeated."""
    context.storage.put_file(thumbnail_key(upload), file.thumbnail, "image/webp")
    context.storage.put_file(upload.storage_key, file.path, file.mime_type)


def register(
    session: TenantSession,
    upload: Upload,
    file: ExaminedFile,
    original_name: str,
    label: Label,
    provenance: Provenance,
    now: datetime,
) -> Asset | None:
    """Add the asset of a stored file. Returns None if another attempt has added it or the upload
    was abandoned.

    Raises BadRequest for an unknown collection.
    """
    asset = Asset(
        id=new_id("video" if file.is_video else "image", now),
        media_type=MediaType.VIDEO if file.is_video else MediaType.IMAGE,
        original_name=original_name,
        mime_type=file.mime_type,
        kind=file.kind,
        size=upload.size,
        width=file.width,
        height=file.height,
        frames=file.frames,
        duration_ms=file.duration_ms,
        content=file.content,
        storage_key=upload.storage_key,
        thumbnail_key=thumbnail_key(upload),
        uploaded_at=assets.to_milliseconds(now),
    )
    provenance.note(asset)
    if not session.change(
        update(Upload).where(Upload.id == upload.id, UNDECIDED).values(asset_id=asset.id)
    ):
        return None
    assets.add(session, asset, label)
    return asset


def refuse(principal: Principal, upload: Upload, reason: str) -> None:
    """Discard a client's file that can't become an asset, unless a parallel attempt has made it
    one.

    The row and its reserved bytes stay as long as its URL is valid, because the client may send the
    bytes once more.
    """
    with transaction(*principal.partition) as session:
        if session.change(
            update(Upload).where(Upload.id == upload.id, UNDECIDED).values(refused=reason)
        ):
            discarded_objects.discard(session, objects(upload))


def withdraw(principal: Principal, upload: Upload, now: datetime) -> None:
    """Discard a file that its client gave up, unless a parallel attempt has made it an asset. It
    may be repeated.

    The row and its reserved bytes stay until its URL ends, which takes the bytes until then:
    whoever begins and gives up in turns stores no more than the plan allows.
    """
    ends_at = upload.created_at + URL_LIFETIME
    if now >= ends_at:
        abandon(principal, upload)
        return
    with transaction(*principal.partition) as session:
        if session.change(
            update(Upload)
            .where(Upload.id == upload.id, Upload.asset_id.is_(None))
            .values(refused="it was cancelled", expires_at=ends_at - TRANSFER_GRACE)
        ):
            discarded_objects.discard(session, objects(upload))


def abandon(principal: Principal, upload: Upload) -> None:
    """Delete an upload and discard its objects, unless a parallel attempt has made it an asset."""
    with transaction(*principal.partition) as session:
        if current := session.scalar(
            select(Upload).where(Upload.id == upload.id, Upload.asset_id.is_(None))
        ):
            _forget(session, current)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete expired uploads and discard their objects. Returns how many were abandoned.

    The objects of an asset stay; only the bytes that its signed URL may have brought since are
    discarded.
    """
    over = session.scalars(select(Upload).where(Upload.expires_at <= now - TRANSFER_GRACE)).all()
    return sum(_forget(session, upload) for upload in over)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with expired uploads, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, Upload, Upload.expires_at <= now - TRANSFER_GRACE)


def awaited(session: TenantSession, keys: Sequence[str]) -> set[str]:
    """The keys, of these ``incoming`` keys, whose bytes may still become an asset; ``session`` must
    be unscoped."""
    arrived = [key.removeprefix(INCOMING) for key in keys]
    org_ids = {key.split("/")[1] for key in arrived}
    expected = select(Upload.storage_key).where(
        Upload.org_id.in_(org_ids), Upload.storage_key.in_(arrived)
    )
    return set(map(incoming, session.scalars(expected.where(UNDECIDED))))


def incoming(storage_key: str) -> str:
    """The key that a client's bytes are uploaded to."""
    return f"{INCOMING}{storage_key}"


def thumbnail_key(upload: Upload) -> str:
    return f"thumbnails/{upload.org_id}/{upload.id}.webp"


def objects(upload: Upload) -> list[str]:
    """All keys under which an upload may have stored bytes."""
    return [incoming(upload.storage_key), upload.storage_key, thumbnail_key(upload)]


def _new_key(org_id: str, name: str, now: datetime) -> str:
    """``orgs/<orgId>/YYYY/MM/<uuid>-<safe name>``."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[-100:] or "file"
    return f"orgs/{org_id}/{now:%Y/%m}/{uuid4()}-{safe}"


def _forget(session: TenantSession, upload: Upload) -> bool:
    """Delete the row and release the bytes of an abandoned upload. Returns True if it was abandoned
    and this caller deleted it."""
    abandoned = upload.asset_id is None
    ended = delete(Upload).where(Upload.id == upload.id)
    if not session.change(ended.where(Upload.asset_id.is_(None)) if abandoned else ended):
        return False
    if abandoned:
        storage_quota.release(session, upload.size)
    discarded_objects.discard(
        session, objects(upload) if abandoned else [incoming(upload.storage_key)]
    )
    return abandoned
