"""Images that are made of others by operations, for the API's views and for the editor."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import g

from app.errors import BadRequest, NotConfigured
from app.imaging import Format, ImagingError, Transform, chain
from app.imaging.formats import Source
from app.imaging.model_files import missing_for_background
from app.imaging.operations import RemoveBackground
from app.models import Asset
from app.services.library import create_image, images
from app.services.library.create_image import ImageRequest
from app.web.context import container, principal, processing, workspace_transaction
from app.web.operations import (
    AskedOperation,
    Conversion,
    check_crops,
    transform_of,
    watermark_ids,
    written,
)

BACKGROUND_IMAGES = 2
"""What removing a background counts as."""


@dataclass(frozen=True)
class WantedImage:
    """An image, the pictures of its watermarks by id, and what is to be made of them: all of it
    checked."""

    image: Asset
    layers: dict[str, Asset]
    transform: Transform


def image_request(name: str, counting: int = 1) -> ImageRequest:
    """Return the image to create. A repetition under the same Idempotency-Key is not counted
    again."""
    return ImageRequest(principal(), name, g.claim, counting)


def wanted_image(image_id: str, asked: Sequence[AskedOperation]) -> WantedImage:
    """Find what the operations need, and check that they fit. Raises NotFound, BadRequest,
    ImageTooLarge, which name the field."""
    fields = watermark_ids(asked)
    with workspace_transaction() as session:
        image = images.get(session, image_id)
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
    _check_sizes(asked, image, wanted)
    return WantedImage(image, layers, wanted)


def sizes(image: Asset, asked: Sequence[AskedOperation]) -> list[tuple[int, int]]:
    """The sizes in pixels that an image has before the first operation and after each."""
    found = [(image.width, image.height)]
    for one in asked:
        changes = not isinstance(one.step, Conversion)
        found.append(one.step.operation().size(*found[-1]) if changes else found[-1])
    return found


def image_of_operations(image_id: str, name: str | None, asked: Sequence[AskedOperation]) -> Asset:
    """Make an image of another one. Raises as ``wanted_image`` and as
    ``create_image.from_image``."""
    wanted = wanted_image(image_id, asked)
    with processing(container().image_work) as context:
        return create_image.from_image(
            image_request(name or wanted.image.name),
            wanted.image,
            wanted.transform,
            context,
            operations=written(asked),
            layers=wanted.layers,
        )


def finds_subjects() -> bool:
    """Return whether this server can remove backgrounds."""
    return missing_for_background(container().settings.weights) is None


def image_without_background(image_id: str, name: str | None) -> Asset:
    """Make a PNG of another image in which everything but its subject is transparent. Raises
    NotFound, NotConfigured, and as ``create_image.from_image``."""
    with workspace_transaction() as session:
        image = images.get(session, image_id)
    weights = container().settings.weights
    if problem := missing_for_background(weights):
        raise NotConfigured(problem)
    wanted = Transform(Format.PNG, None, operations=(RemoveBackground(str(weights)),))
    asked = image_request(name or image.name, BACKGROUND_IMAGES)
    with processing(container().image_work, container().background) as context:
        return create_image.from_image(
            asked, image, wanted, context, operations=[{"remove-background": {}}]
        )


def _check_sizes(asked: Sequence[AskedOperation], image: Asset, wanted: Transform) -> None:
    """Raise ImageTooLarge at the operation that makes too many pixels."""
    output = wanted.format or Source(image.kind).written_as
    frames = image.frames if output and output.animates else 1
    size = image.width, image.height
    for one in asked:
        if isinstance(one.step, Conversion):
            continue
        operation = one.step.operation()
        try:
            chain.check((operation,), *size, frames, container().imaging.limits)
        except ImagingError as refusal:
            if one.prefix:
                refusal.errors = [f"{one.prefix.rstrip('.')}: {refusal.message}"]
            raise
        size = operation.size(*size)
