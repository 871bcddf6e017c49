"""The way of a file into the library: its space first, then its bytes, then its row.

A row of ``Upload`` leads: it sets the bytes aside and names the keys before anything is stored, so
that whatever is given up half-way, by a refusal or by a crash, is found and removed
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
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession, partitions_with

INCOMING = "incoming/"
VALID = timedelta(minutes=15)
GRACE = timedelta(hours=1)
"""How long after its end an upload may still become an asset: a transfer that began in time may
take its time."""


UNDECIDED = and_(Upload.asset_id.is_(None), Upload.refused.is_(None))


@dataclass(frozen=True)
class ExaminedFile:
    """A file that was examined, with a thumbnail of it; the rest is as an
    ``Asset`` has it."""

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
        """A client's file, under the media type that it was declared as, or else under its own."""
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
        """A picture of our own making."""
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
    """Set ``size`` bytes aside for a file, and name where it will lie. Raises QuotaExceeded.

    Before it comes to that, what abandoned uploads hold is given back.
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
        expires_at=now + VALID,
    )
    session.add(upload)
    return upload


def store(upload: Upload, arrival: ExaminedFile, context: ProcessingContext) -> None:
    """Put the file and its thumbnail where they will lie. Done twice, it does no harm."""
    context.storage.put_file(thumbnail_key(upload), arrival.thumbnail, "image/webp")
    context.storage.put_file(upload.storage_key, arrival.path, arrival.mime_type)


def register(
    session: TenantSession,
    upload: Upload,
    arrival: ExaminedFile,
    original_name: str,
    label: Label,
    now: datetime,
) -> Asset | None:
    """The asset of a file that was stored; None where another attempt made it, or the upload was
    given up.

    Raises BadRequest for an unknown collection.
    """
    asset = Asset(
        id=new_id("video" if arrival.is_video else "image", now),
        media_type=MediaType.VIDEO if arrival.is_video else MediaType.IMAGE,
        original_name=original_name,
        mime_type=arrival.mime_type,
        kind=arrival.kind,
        size=upload.size,
        width=arrival.width,
        height=arrival.height,
        frames=arrival.frames,
        duration_ms=arrival.duration_ms,
        content=arrival.content,
        storage_key=upload.storage_key,
        thumbnail_key=thumbnail_key(upload),
        uploaded_at=assets.to_milliseconds(now),
    )
    if not session.change(
        update(Upload).where(Upload.id == upload.id, UNDECIDED).values(asset_id=asset.id)
    ):
        return None
    assets.add(session, asset, label)
    return asset


def refuse(principal: Principal, upload: Upload, reason: str) -> None:
    """Remove a client's file that can't become an asset, unless a parallel attempt has made one of
    it.

    The row stays for as long as its URL, which may bring the bytes once more; until then they are
    set aside.
    """
    with transaction(*principal.partition) as session:
        if session.change(
            update(Upload).where(Upload.id == upload.id, UNDECIDED).values(refused=reason)
        ):
            discarded_objects.discard(session, objects(upload))


def abandon(principal: Principal, upload: Upload) -> None:
    """Remove what was given up, unless a parallel attempt has made an asset of it."""
    with transaction(*principal.partition) as session:
        if current := session.scalar(
            select(Upload).where(Upload.id == upload.id, Upload.asset_id.is_(None))
        ):
            _forget(session, current)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Forget uploads that are over and have their objects removed. Returns how many were abandoned.

    What became an asset stays: only what its signed URL may have brought since goes.
    """
    over = session.scalars(select(Upload).where(Upload.expires_at <= now - GRACE)).all()
    return sum(_forget(session, upload) for upload in over)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, Upload, Upload.expires_at <= now - GRACE)


def awaited(session: TenantSession, keys: Sequence[str]) -> set[str]:
    """Those of the ``incoming`` keys whose bytes may still become an asset; ``session`` must be
    unscoped."""
    arrived = [key.removeprefix(INCOMING) for key in keys]
    org_ids = {key.split("/")[1] for key in arrived}
    expected = select(Upload.storage_key).where(
        Upload.org_id.in_(org_ids), Upload.storage_key.in_(arrived)
    )
    return set(map(incoming, session.scalars(expected.where(UNDECIDED))))


def incoming(storage_key: str) -> str:
    """Where a client's bytes arrive."""
    return f"{INCOMING}{storage_key}"


def thumbnail_key(upload: Upload) -> str:
    return f"thumbnails/{upload.org_id}/{upload.id}.webp"


def objects(upload: Upload) -> list[str]:
    """All keys that an upload may have brought bytes to."""
    return [incoming(upload.storage_key), upload.storage_key, thumbnail_key(upload)]


def _new_key(org_id: str, name: str, now: datetime) -> str:
    """``orgs/<orgId>/YYYY/MM/<uuid>-<safe name>``."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[-100:] or "file"
    return f"orgs/{org_id}/{now:%Y/%m}/{uuid4()}-{safe}"


def _forget(session: TenantSession, upload: Upload) -> bool:
    """Delete the row; True where it was abandoned, whose bytes are given back. Deleted by one of
    parallel callers."""
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
