"""Making a picture able to hold a colour that is laid beside or under it."""

from app.imaging.operations import Colour
from app.imaging.vips import Image

OPAQUE = 255


def grounded(image: Image, colour: Colour) -> tuple[Image, list[int]]:
    """The picture with the bands that ``colour`` needs, and the colour as values of its bands.

    A gray picture becomes one in colours where the colour isn't gray, an opaque one gets alpha
    where it is transparent.
    """
    *rgb, alpha = colour
    if image.bands < 3 and len(set(rgb)) > 1:
        image = image.colourspace("srgb")
    if alpha < OPAQUE and not image.hasalpha():
        image = image.bandjoin(OPAQUE)
    ink = rgb if image.bands >= 3 else rgb[:1]
    return image, [*ink, alpha] if image.hasalpha() else ink
