"""``/v1/images/{id}/…``: new images made of another, by one operation or by several."""

from collections.abc import Sequence

from flask import Response
from flask_openapi import APIBlueprint

from app.api.images import CREATED, created, image_request
from app.api.images import blueprint as images_blueprint
from app.errors import BadRequest, NotConfigured
from app.imaging import Format, Transform
from app.imaging.model_files import missing_for_background
from app.imaging.operations import RemoveBackground
from app.services.library import create_image, images
from app.web.context import container, processing, workspace_transaction
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
    check_crops,
    transform_of,
    watermark_ids,
    written,
)
from app.web.requirements import Key, requires
from app.web.schema import SECURITY, ById, errors

blueprint = APIBlueprint(
    "transformations", __name__, url_prefix="/v1/images", abp_tags=images_blueprint.abp_tags
)

BACKGROUND_IMAGES = 2
"""What removing a background counts as."""
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
        return _make_image(path, body)

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
    with workspace_transaction() as session:
        image = images.get(session, path.id)
    weights = container().settings.weights
    if problem := missing_for_background(weights):
        raise NotConfigured(problem)
    wanted = Transform(Format.PNG, None, operations=(RemoveBackground(str(weights)),))
    asked = image_request(body.name or image.name, BACKGROUND_IMAGES)
    with processing(container().image_work, container().background) as context:
        made = create_image.from_image(
            asked, image, wanted, context, operations=[{"remove-background": {}}]
        )
    return created(made, BACKGROUND_IMAGES)


@blueprint.post(
    "/<id>/transform",
    summary="Transform an image in several steps",
    security=SECURITY,
    responses=CREATED,
)
@requires(Key("write"))
def transform(path: ById, body: TransformBody) -> tuple[Response, int]:
    """Makes one new image by several operations. Counts as one, and is encoded once."""
    return _make_image(path, body, body.asked())


def _make_image(
    path: ById, body: Named, asked: Sequence[AskedOperation] = ()
) -> tuple[Response, int]:
    """Create an image from another one by the operations in ``asked``, or by ``body`` if that is
    the only one."""
    asked = asked or [AskedOperation(body)]
    fields = watermark_ids(asked)
    with workspace_transaction() as session:
        image = images.get(session, path.id)
        layers = images.among(session, fields.values())
    unusable = [
        field
        for field, layer_id in fields.items()
        if layer_id not in layers or layer_id == image.id
    ]
    if unusable:
        raise BadRequest(
            "A watermark must be another image of this workspace.",
            errors=[f"{field}: is no other image of this workspace" for field in unusable],
        )
    check_crops(asked, image.width, image.height)
    wanted = transform_of(asked)
    with processing(container().image_work) as context:
        made = create_image.from_image(
            image_request(body.name or image.name),
            image,
            wanted,
            context,
            operations=written(asked),
            layers=layers,
        )
    return created(made)
