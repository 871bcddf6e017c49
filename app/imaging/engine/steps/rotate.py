"""Turn a picture by any angle."""

import math

from app.imaging.engine.steps.canvas_fill import OPAQUE, canvas_fill
from app.imaging.engine.vips import Image, Interpolate
from app.imaging.operations import Rotate

# Bicubic interpolation reads two pixels to either side.
MARGIN = 3


def rotate(image: Image, turn: Rotate) -> Image:
    """Turn a picture clockwise. Quarter turns only move pixels; other turns fill the corners with
    their background.

    The picture is turned, and separately a mask of how much of each pixel it covers: interpolation
    between the picture and its background would draw a bright or dark line along the edge.
    """
    # A turn reads columns, and a picture that streams from its decoder gives rows only.
    image = image.copy_memory()
    match turn.quarters:
        case 0:
            return image
        case 1:
            return image.rot90()
        case 2:
            return image.rot180()
        case 3:
            return image.rot270()
    image, ink = canvas_fill(image, turn.background)
    white = Image.black(image.width, image.height).invert()
    cover = _turned(white, turn, "bilinear", extend="black")
    if not image.hasalpha():
        return cover.ifthenelse(_turned(image, turn, "bicubic", extend="copy"), ink, blend=True)
    behind = [value * ink[-1] / OPAQUE for value in ink[:-1]] + [float(ink[-1])]
    shown = cover.ifthenelse(
        _turned(image.premultiply(), turn, "bicubic", extend="copy"), behind, blend=True
    )
    return shown.unpremultiply().rint().cast("uchar")


def _turned(image: Image, turn: Rotate, interpolation: str, *, extend: str) -> Image:
    """The picture turned about its middle, on the canvas that ``turn`` needs."""
    width, height = turn.size(image.width, image.height)
    wider = image.embed(
        MARGIN, MARGIN, image.width + 2 * MARGIN, image.height + 2 * MARGIN, extend=extend
    )
    cos, sin = math.cos(math.radians(turn.angle)), math.sin(math.radians(turn.angle))
    return wider.affine(
        [cos, -sin, sin, cos],
        interpolate=Interpolate.new(interpolation),
        oarea=[0, 0, width, height],
        # libvips counts places from the middle of the first pixel.
        idx=-(wider.width - 1) / 2,
        idy=-(wider.height - 1) / 2,
        odx=(width - 1) / 2,
        ody=(height - 1) / 2,
    )
