"""The colour that fills the canvas beside or under a picture."""

from app.imaging.engine.vips import Image
from app.imaging.operations import Colour

OPAQUE = 255


def canvas_fill(image: Image, colour: Colour) -> tuple[Image, list[int]]:
    """The picture with the bands that ``colour`` needs, and the colour as values of its bands.

    A gray picture becomes one in colours where the colour isn't gray. An opaque one gets alpha
    where the colour is transparent.
    """
    *rgb, alpha = colour
    if image.bands < 3 and len(set(rgb)) > 1:
        image = image.colourspace("srgb")
    if alpha < OPAQUE and not image.hasalpha():
        image = image.bandjoin(OPAQUE)
    ink = rgb if image.bands >= 3 else rgb[:1]
    return image, [*ink, alpha] if image.hasalpha() else ink
