"""Signed URLs of transformed copies, as the API and the dashboard make them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from app.errors import BadRequest
from app.imaging import Transform
from app.models import Asset, MediaType
from app.services.exports import presets
from app.services.filenames import Names
from app.services.library import assets, kept_renditions, renditions
from app.services.library.renditions import ReadyRendition, RenditionRequest, RenditionSource
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession
from app.web import maintenance
from app.web.context import now, principal, workspace_transaction
from app.web.links import download
from app.web.schema import Moment, Name, Query, TransformFields, shown


class ExportUrlQuery(TransformFields, Query):
    preset: Name | None = Field(None, description="A saved preset; parameters beside it win.")
    ttl: Annotated[int, Field(ge=60, le=86_400)] = Field(
        3600, description="Seconds that the URL is valid."
    )


class ExportUrl(BaseModel):
    assetId: str
    url: str = Field(description="Needs no key. Valid until `expiresAt`.")
    format: str = Field(examples=["WEBP"])
    ttlSeconds: int
    expiresAt: Moment
    cached: bool = Field(
        description="Whether the copy was there already; only a new one counts as an image."
    )


@dataclass(frozen=True)
class MadeUrl:
    """The API's answer, and what it leads to."""

    answer: ExportUrl
    asset: Asset
    rendition: ReadyRendition
    filename: str

    @property
    def download_url(self) -> str:
        """The same file, which browsers save."""
        kind = self.rendition.format.mime
        return download(self.rendition.storage_key, self.filename, kind, self.answer.expiresAt)


def make(
    asset_id: str,
    query: ExportUrlQuery,
    admitted: Callable[[], AbstractContextManager[ProcessingContext]],
) -> MadeUrl:
    """Find the copy, or make it in a place that ``admitted`` holds, and sign its URL.

    Raises NotFound, BadRequest for a video, Maintenance, and what ``renditions.render`` raises.
    """
    ttl = timedelta(seconds=query.ttl)
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
        _check_is_image(asset)
        wanted = RenditionRequest(
            principal(), RenditionSource.of(asset), _transform(session, query), ttl
        )
        found = renditions.reuse(session, wanted, now())
    if found is None:
        maintenance.refuse()
        with admitted() as context, context.folder() as folder:
            found = renditions.render(wanted, folder / "rendition", context)
    expires_at = now().replace(microsecond=0) + ttl
    name = Names().unique(asset.name, found.format.extension)
    signed = ExportUrl(
        assetId=asset.id,
        url=download(found.storage_key, name, found.format.mime, expires_at, inline=True),
        format=shown(found.format),
        ttlSeconds=query.ttl,
        expiresAt=expires_at,
        cached=found.cached,
    )
    return MadeUrl(signed, asset, found, name)


def is_made(session: TenantSession, asset: Asset, query: ExportUrlQuery) -> bool:
    """Whether the copy is there already, so that its URL counts no image. Raises NotFound for an
    unknown preset."""
    transform = _transform(session, query)
    return not kept_renditions.count_missing(session, principal(), [asset.id], transform)


def _transform(session: TenantSession, query: ExportUrlQuery) -> Transform:
    base = Transform()
    if query.preset:
        base = presets.transform_of(presets.get(session, query.preset))
    return query.over(base)


def _check_is_image(asset: Asset) -> None:
    if asset.media_type == MediaType.VIDEO:
        raise BadRequest(
            "This asset is a video, and copies are made of images only. Its poster is the "
            "thumbnailUrl."
        )
