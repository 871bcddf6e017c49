"""``/api/v1/assets/{id}/export-url``: a signed URL of a transformed copy."""

from datetime import timedelta
from typing import Annotated

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import BaseModel, Field

from app.api.assets import blueprint as assets_blueprint
from app.errors import BadRequest
from app.imaging import Transform
from app.models import MediaType
from app.services.exports import presets
from app.services.filenames import Names
from app.services.library import assets, renditions
from app.services.library.renditions import ReadyRendition, RenditionRequest, RenditionSource
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.links import download
from app.web.requirements import Workspace, requires
from app.web.schema import (
    SECURITY,
    ById,
    Moment,
    Name,
    Query,
    TransformFields,
    answer,
    errors,
    shown,
)

blueprint = APIBlueprint(
    "renditions", __name__, url_prefix="/api/v1/assets", abp_tags=assets_blueprint.abp_tags
)


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


@blueprint.get(
    "/<id>/export-url",
    summary="Get a signed URL of a transformed copy",
    security=SECURITY,
    responses={200: ExportUrl, **errors(400, 401, 402, 403, 404, 413, 422)},
)
@requires(Workspace("read"))
def export_url(path: ById, query: ExportUrlQuery) -> Response:
    """Renders the image the first time it is asked for so, and counts it then; later it is there
    already.

    Copies may have a quarter of the plan's storage beside the assets (with test keys 62 MB): those
    that were asked for, or whose last URL ended, longest ago make room for new ones, and are
    rendered again when they are asked for.
    """
    who, ttl = principal(), timedelta(seconds=query.ttl)
    with workspace_transaction() as session:
        asset = assets.get(session, path.id)
        base = (
            presets.transform_of(presets.get(session, query.preset))
            if query.preset
            else Transform()
        )
        if asset.media_type == MediaType.VIDEO:
            raise BadRequest(
                "This asset is a video, and copies are made of images only. Its poster is the "
                "thumbnailUrl."
            )
        wanted = RenditionRequest(who, RenditionSource.of(asset), query.over(base), ttl)
        found = renditions.reuse(session, wanted, now())
    found = found or _render(wanted)
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
    response = answer(signed)
    if not found.cached and who.is_live:
        response.headers["X-Image-Processing-Usage"] = "1"
    return response


def _render(wanted: RenditionRequest) -> ReadyRendition:
    with processing(container().image_work) as context, context.folder() as folder:
        return renditions.render(wanted, folder / "rendition", context)
