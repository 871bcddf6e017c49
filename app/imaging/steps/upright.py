"""From a picture as it was stored to one as it is seen."""

from app.imaging.steps.colour import to_srgb
from app.imaging.steps.orient import is_turned, orient
from app.imaging.steps.resize import resize
from app.imaging.vips import Image


def upright(image: Image, width: int, height: int) -> Image:
    """Upright, 8-bit sRGB or gray, ``width`` x ``height``: the costly steps come after it has
    become small."""
    return to_srgb(
        orient(resize(image, height, width) if is_turned(image) else resize(image, width, height))
    )
