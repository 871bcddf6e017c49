"""From a picture as it was stored to one as it is seen."""

from app.imaging.engine.steps.colour import to_srgb
from app.imaging.engine.steps.orient import is_turned, orient
from app.imaging.engine.steps.resize import resize
from app.imaging.engine.vips import Image


def upright(image: Image, width: int, height: int) -> Image:
    """The picture upright, in 8-bit sRGB or gray, ``width`` x ``height``. It is made smaller first,
    so that the costly steps have fewer pixels."""
    return to_srgb(
        orient(resize(image, height, width) if is_turned(image) else resize(image, width, height))
    )
