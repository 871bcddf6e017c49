"""The pictures of a watermark: files of any image format, maybe hostile, inspected like all
others."""

from functools import partial
from pathlib import Path

from app.imaging.engine.containers.header import Header
from app.imaging.engine.decode import decode
from app.imaging.engine.files import mapped
from app.imaging.engine.inspection import inspect
from app.imaging.engine.mending import forgiving
from app.imaging.engine.steps.resize import resize
from app.imaging.engine.steps.upright import upright
from app.imaging.engine.vips import Image
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits
from app.imaging.operations import Layer, Resize


def opened(path: Path, layer: Layer, limits: Limits) -> Image:
    """A layer's picture in the size that the layer asks for: 8-bit sRGB or gray, upright, the first
    frame, in memory.

    ImageTooLarge where its file, or that size, passes the limits.
    """
    with mapped(path) as data:
        kind, _ = inspect(data, Format.PNG, limits)
    return forgiving(path, kind, partial(_opened, kind, layer, limits))


def _opened(kind: Source, layer: Layer, limits: Limits, path: Path) -> Image:
    sizing = Resize(layer.width, layer.height).size if layer.width or layer.height else _as_it_is
    decoded = decode(path, kind, sizing, limits, animated=False)
    limits.check(decoded)
    width, height = sizing(decoded.width, decoded.height)
    limits.check(Header(width, height))
    image = upright(decoded.image, min(width, decoded.width), min(height, decoded.height))
    return resize(image, width, height).copy_memory()


def _as_it_is(width: int, height: int) -> tuple[int, int]:
    return width, height
