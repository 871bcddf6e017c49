"""``/v1/images/{id}/…``: new images made of another, by one operation or by several."""

from flask import Response
from flask_openapi import APIBlueprint

from app.api.images import CREATED, created
from app.api.images import blueprint as images_blueprint
from app.web.image_making import (
    BACKGROUND_IMAGES,
    image_of_operations,
    image_without_background,
)
from app.web.operations import (
    AskedOperation,
    BlurBody,
    ConvertBody,
    CropBody,
    MirrorBody,
    ModulateBody,
    Named,
    ResizeBody,
    RotateBody,
    TransformBody,
    WatermarkBody,
)
from app.web.requirements import Key, requires
from app.web.schema import SECURITY, ById, errors

blueprint = APIBlueprint(
    "transformations", __name__, url_prefix="/v1/images", abp_tags=images_blueprint.abp_tags
)

OPERATIONS: tuple[tuple[str, type[Named], str, str], ...] = (
    (
        "resize", ResizeBody, "Resize an image",
        "Makes a new image of exactly this size, larger ones too.",
    ),
    ("crop", CropBody, "Crop an image", "Makes a new image of what lies between two corners."),
    (
        "rotate", RotateBody, "Rotate an image",
        "Makes a new image, turned clockwise. It grows where the angle is no right one.",
    ),
    (
        "mirror", MirrorBody, "Mirror an image",
        "Makes a new image with left and right, or top and bottom, swapped.",
    ),
    (
        "convert", ConvertBody, "Convert an image",
        "Makes a new image in another format. What is transparent becomes white in JPEG.",
    ),
    ("blur", BlurBody, "Blur an image", "Makes a new image, blurred by a Gaussian."),
    (
        "modulate", ModulateBody, "Adjust an image's colours",
        "Makes a new image with other brightness, saturation, hue or lightness (CIE LCh).",
    ),
    (
        "watermark", WatermarkBody, "Watermark an image",
        "Makes a new image with other images laid over it, each by its transparency.",
    ),
)  # fmt: skip
"""Operations that make one image of another: name, body, summary, description."""


def _add_view(name: str, body: type[Named], summary: str, description: str) -> None:
    @requires(Key("write"))
    def view(path: ById, body: Named) -> tuple[Response, int]:
        return created(image_of_operations(path.id, body.name, [AskedOperation(body)]))

    view.__name__ = name
    view.__annotations__["body"] = body
    blueprint.post(
        f"/<id>/{name}",
        summary=summary,
        description=description,
        security=SECURITY,
        responses=CREATED,
    )(view)


for operation in OPERATIONS:
    _add_view(*operation)


@blueprint.post(
    "/<id>/remove-background",
    summary="Remove an image's background",
    security=SECURITY,
    responses={**CREATED, **errors(501)},
)
@requires(Key("write"))
def remove_background(path: ById, body: Named) -> tuple[Response, int]:
    """Makes a new image, a PNG, in which everything but the subject is transparent. Counts as two
    images."""
    return created(image_without_background(path.id, body.name), BACKGROUND_IMAGES)


@blueprint.post(
    "/<id>/transform",
    summary="Transform an image in several steps",
    security=SECURITY,
    responses=CREATED,
)
@requires(Key("write"))
def transform(path: ById, body: TransformBody) -> tuple[Response, int]:
    """Makes one new image by several operations. Counts as one, and is encoded once."""
    return created(image_of_operations(path.id, body.name, body.asked()))
