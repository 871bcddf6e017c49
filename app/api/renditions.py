"""``/api/v1/assets/{id}/export-url``: a signed URL of a transformed copy."""

from functools import partial

from flask import Response
from flask_openapi import APIBlueprint

from app.api.assets import blueprint as assets_blueprint
from app.web import export_urls
from app.web.context import container, principal, processing
from app.web.export_urls import ExportUrl, ExportUrlQuery
from app.web.requirements import Workspace, requires
from app.web.schema import SECURITY, ById, answer, errors

blueprint = APIBlueprint(
    "renditions", __name__, url_prefix="/api/v1/assets", abp_tags=assets_blueprint.abp_tags
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
    made = export_urls.make(path.id, query, partial(processing, container().image_work))
    response = answer(made.answer)
    if not made.answer.cached and principal().is_live:
        response.headers["X-Image-Processing-Usage"] = "1"
    return response
