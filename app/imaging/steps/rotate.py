"""Turning a picture by any angle."""

import math

from app.imaging.operations import Rotate
from app.imaging.steps.ground import OPAQUE, grounded
from app.imaging.vips import Image, Interpolate

# Bicubic interpolation reads two pixels to either side.
MARGIN = 3


def rotate(image: Image, turn: Rotate) -> Image:
    """Clockwise; quarter turns only move pixels. The corners of any other are of the turn's
    background.

    Both the picture and, apart from it, how much of each pixel it covers are turned: interpolating
    between the picture and its background itself would draw a bright or dark line along its edge.
    """
    # Columns are read, which a picture that streams from its decoder can't give.
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
    image, ink = grounded(image, turn.background)
    white = Image.black(image.width, image.height).invert()
    cover = _turned(white, turn, "bilinear", extend="black")
    if not image.hasalpha():
        return cover.ifthenelse(_turned(image, turn, "bicubic", extend="copy"), ink, blend=True)
    ground = [value * ink[-1] / OPAQUE for value in ink[:-1]] + [float(ink[-1])]
    shown = cover.ifthenelse(
        _turned(image.premultiply(), turn, "bicubic", extend="copy"), ground, blend=True
    )
    return shown.unpremultiply().rint().cast("uchar")


def _turned(image: Image, turn: Rotate, interpolation: str, *, extend: str) -> Image:
    """The picture about its middle, on as much room as ``turn`` needs."""
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
