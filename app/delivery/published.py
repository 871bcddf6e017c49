"""Published images, which anyone with the URL can download."""

from flask import Blueprint, Response

from app.errors import NotFound
from app.services.library import publishing
from app.web.context import container
from app.web.files import send_image
from app.web.requirements import Nothing, requires

blueprint = Blueprint("published", __name__)

CACHED = "public, max-age=60, must-revalidate"
"""Caches may show an unpublished image for this long (docs/decisions/012)."""


@blueprint.get("/published/<token>.<extension>")
@requires(Nothing())
def image(token: str, extension: str) -> Response:
    """The image, or a range of it. Gone at once when it is unpublished or deleted."""
    found = publishing.find(token)
    if found is None or found.extension != extension:
        raise NotFound("No image is published here. It may have been unpublished.")
    response = send_image(container().storage, found, inline=True)
    response.headers["Cache-Control"] = CACHED
    return response
