"""The pictures of a watermark: files of any image format, hostile ones among them, through the same
gate as all."""

from functools import partial
from pathlib import Path

from app.imaging.containers.header import Header
from app.imaging.decode import decode, forgiving
from app.imaging.files import mapped
from app.imaging.formats import Format, Source
from app.imaging.inspection import inspect
from app.imaging.limits import Limits
from app.imaging.operations import Layer, Resize
from app.imaging.steps.resize import resize
from app.imaging.steps.upright import upright
from app.imaging.vips import Image


def opened(path: Path, layer: Layer, limits: Limits) -> Image:
    """A layer's picture in the size that it is laid on with: 8-bit sRGB or gray, upright, its first
    frame, in memory.

    ImageTooLarge where its file, or that size, passes the limits.
    """
    with mapped(path) as data:
        kind, _ = inspect(data, Format.PNG, limits)
    return forgiving(kind, partial(_opened, path, kind, layer, limits))


def _opened(path: Path, kind: Source, layer: Layer, limits: Limits, *, strict: bool) -> Image:
    sizing = Resize(layer.width, layer.height).size if layer.width or layer.height else _as_it_is
    decoded = decode(path, kind, sizing, limits, animated=False, strict=strict)
    limits.check(decoded)
    width, height = sizing(decoded.width, decoded.height)
    limits.check(Header(width, height))
    image = upright(decoded.image, min(width, decoded.width), min(height, decoded.height))
    return resize(image, width, height).copy_memory()


def _as_it_is(width: int, height: int) -> tuple[int, int]:
    return width, height
