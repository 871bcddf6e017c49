"""Images as the Images API shows the workspace's assets: newest first, without videos."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import select, tuple_

from app.errors import NotFound
from app.imaging import Format
from app.models import Asset, AssetFields, MediaType, moment_of
from app.tenancy import TenantSession


@dataclass(frozen=True)
class ImagePage:
    """Images, newest first, and the first ids of the previous and the next page."""

    images: list[Asset]
    previous: str | None
    next: str | None


@dataclass(frozen=True)
class ImageFile:
    """The file of an image. ``size`` is in bytes, ``content`` is the SHA-256 of the file,
    ``extension`` has no dot."""

    storage_key: str
    size: int
    content: str
    mime_type: str
    extension: str
    name: str
    uploaded_at: datetime

    @classmethod
    def of(cls, asset: AssetFields) -> Self:
        return cls(
            storage_key=asset.storage_key,
            size=asset.size,
            content=asset.content,
            mime_type=asset.mime_type,
            extension=_extension_of(asset),
            name=asset.name,
            uploaded_at=asset.uploaded_at,
        )


def get(session: TenantSession, image_id: str) -> Asset:
    """Raises NotFound, with the same message for a video, another organization's image and an image
    that never existed."""
    if found := among(session, [image_id]).get(image_id):
        return found
    raise NotFound(f"Image '{image_id}' does not exist in this workspace.")


def among(session: TenantSession, image_ids: Iterable[str]) -> dict[str, Asset]:
    """The images of this workspace with these ids, by id."""
    wanted = select(Asset).where(Asset.id.in_(set(image_ids)), Asset.media_type == MediaType.IMAGE)
    return {image.id: image for image in session.scalars(wanted)}


def page_of(session: TenantSession, take: int, first: str | None) -> ImagePage:
    """``take`` images, beginning with the id ``first``, whose image may have been deleted, or with
    the newest."""
    place = tuple_(Asset.uploaded_at, Asset.id)
    older = select(Asset).where(Asset.media_type == MediaType.IMAGE)
    newer: list[str] = []
    if first is not None:
        here = (moment_of(first), first)
        older = older.where(place <= here)
        before = select(Asset.id).where(Asset.media_type == MediaType.IMAGE, place > here)
        newer = list(session.scalars(before.order_by(Asset.uploaded_at, Asset.id).limit(take)))
    found = session.scalars(
        older.order_by(Asset.uploaded_at.desc(), Asset.id.desc()).limit(take + 1)
    ).all()
    return ImagePage(
        images=list(found[:take]),
        previous=newer[-1] if newer else None,
        next=found[take].id if len(found) > take else None,
    )


def _extension_of(asset: AssetFields) -> str:
    """The usual file name extension of an asset's format; for RAW the extension of the camera's
    format."""
    match asset.kind:
        case "jpeg":
            return Format.JPEG.extension
        case "heif" | "raw":
            # image/heic, image/heif; image/x-canon-cr2, image/x-adobe-dng, image/x-raw.
            return asset.mime_type.rpartition("/")[2].rpartition("-")[2]
    return asset.kind
