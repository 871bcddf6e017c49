"""The pipeline: the steps that do what a Transform's operations say, one after the other."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from app.imaging.engine.layers import opened
from app.imaging.engine.steps.background import remove_background
from app.imaging.engine.steps.blur import blur
from app.imaging.engine.steps.crop import crop
from app.imaging.engine.steps.mirror import mirror
from app.imaging.engine.steps.modulate import modulate
from app.imaging.engine.steps.resize import reframe
from app.imaging.engine.steps.rotate import rotate
from app.imaging.engine.steps.watermark import watermark
from app.imaging.engine.steps.watermark_for_test import watermark_for_test
from app.imaging.engine.vips import Image
from app.imaging.limits import Limits
from app.imaging.operations import (
    Blur,
    Crop,
    Mirror,
    Modulate,
    Operation,
    RemoveBackground,
    Resize,
    Rotate,
    Watermark,
)
from app.imaging.transform import Transform

Step = Callable[[Image], Image]


def steps(transform: Transform, layers: Mapping[str, Path], limits: Limits) -> tuple[Step, ...]:
    """What is done to each upright sRGB frame: the operations in order, then a test key's
    watermark.

    ``layers`` has the files that the layers of watermarks name; they are decoded here, like
    any source.
    """
    asked = tuple(_step(operation, layers, limits) for operation in transform.operations)
    return (*asked, watermark_for_test) if transform.watermarked_for_test else asked


def run_pipeline(steps: tuple[Step, ...], image: Image) -> Image:
    """What the steps, one after the other, make of a picture."""
    for step in steps:
        image = step(image)
    return image


def _step(operation: Operation, layers: Mapping[str, Path], limits: Limits) -> Step:
    match operation:
        case Resize():
            return partial(reframe, operation=operation)
        case Crop():
            return partial(crop, part=operation)
        case Rotate():
            return partial(rotate, turn=operation)
        case Mirror():
            return partial(mirror, axis=operation.axis)
        case Blur():
            return partial(blur, sigma=operation.sigma)
        case Modulate(brightness, saturation, hue, lightness):
            return partial(
                modulate, brightness=brightness, saturation=saturation, hue=hue, lightness=lightness
            )
        case Watermark():
            pictures = [
                (opened(layers[layer.image], layer, limits), layer) for layer in operation.layers
            ]
            return partial(watermark, layers=pictures)
        case RemoveBackground():
            return partial(remove_background, weights=operation.weights)
