"""``/v1/images/{id}/…``: new images made of another, by one operation or by several."""

from collections.abc import Sequence

from flask import Response
from flask_openapi import APIBlueprint

from app.api.images import CREATED, created, job
from app.api.images import blueprint as images_blueprint
from app.api.operations import (
    Asked,
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
)
from app.api.schema import SECURITY, ById, errors
from app.errors import BadRequest, NotConfigured
from app.extensions import transaction
from app.imaging import Format, Transform
from app.imaging.models import missing_for_background
from app.imaging.operations import RemoveBackground
from app.services import images, making
from app.web.context import at_work, principal, toolbox
from app.web.requirements import Key, requires

blueprint = APIBlueprint(
    "transformations", __name__, url_prefix="/v1/images", abp_tags=images_blueprint.abp_tags
)

BACKGROUND_IMAGES = 2
"""What removing a background counts as."""


@blueprint.post("/<id>/resize", summary="Resize an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def resize(path: ById, body: ResizeBody) -> tuple[Response, int]:
    """Makes a new image of exactly this size, larger ones too."""
    return _made(path, body)


@blueprint.post("/<id>/crop", summary="Crop an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def crop(path: ById, body: CropBody) -> tuple[Response, int]:
    """Makes a new image of what lies between two corners."""
    return _made(path, body)


@blueprint.post("/<id>/rotate", summary="Rotate an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def rotate(path: ById, body: RotateBody) -> tuple[Response, int]:
    """Makes a new image, turned clockwise. It grows where the angle is no right one."""
    return _made(path, body)


@blueprint.post("/<id>/mirror", summary="Mirror an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def mirror(path: ById, body: MirrorBody) -> tuple[Response, int]:
    """Makes a new image with left and right, or top and bottom, swapped."""
    return _made(path, body)


@blueprint.post("/<id>/convert", summary="Convert an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def convert(path: ById, body: ConvertBody) -> tuple[Response, int]:
    """Makes a new image in another format. What is transparent becomes white in JPEG."""
    return _made(path, body)


@blueprint.post("/<id>/blur", summary="Blur an image", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def blur(path: ById, body: BlurBody) -> tuple[Response, int]:
    """Makes a new image, blurred by a Gaussian."""
    return _made(path, body)


@blueprint.post(
    "/<id>/modulate", summary="Adjust an image's colours", security=SECURITY, responses=CREATED
)
@requires(Key("write"))
def modulate(path: ById, body: ModulateBody) -> tuple[Response, int]:
    """Makes a new image with other brightness, saturation, hue or lightness (CIE LCh)."""
    return _made(path, body)


@blueprint.post(
    "/<id>/watermark", summary="Watermark an image", security=SECURITY, responses=CREATED
)
@requires(Key("write"))
def watermark(path: ById, body: WatermarkBody) -> tuple[Response, int]:
    """Makes a new image with other images laid over it, each by its transparency."""
    return _made(path, body)


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
    with transaction(*principal().partition) as session:
        image = images.get(session, path.id)
    weights = toolbox().settings.weights
    if problem := missing_for_background(weights):
        raise NotConfigured(problem)
    wanted = Transform(Format.PNG, None, operations=(RemoveBackground(str(weights)),))
    asked = job(body.name or image.name, BACKGROUND_IMAGES)
    tools = toolbox()
    with at_work(tools.gate, tools.background) as shop:
        return created(making.transform(asked, image, wanted, shop), BACKGROUND_IMAGES)


@blueprint.post(
    "/<id>/transform",
    summary="Transform an image in several steps",
    security=SECURITY,
    responses=CREATED,
)
@requires(Key("write"))
def transform(path: ById, body: TransformBody) -> tuple[Response, int]:
    """Makes one new image by several operations. Counts as one, and is encoded once."""
    return _made(path, body, body.asked())


def _made(path: ById, body: Named, asked: Sequence[Asked] = ()) -> tuple[Response, int]:
    """The image that comes of another by what is asked: the whole body, unless that has several
    parts."""
    asked = asked or [Asked(body)]
    fields = watermark_ids(asked)
    with transaction(*principal().partition) as session:
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
    with at_work(toolbox().gate) as shop:
        return created(
            making.transform(job(body.name or image.name), image, wanted, shop, layers=layers)
        )
