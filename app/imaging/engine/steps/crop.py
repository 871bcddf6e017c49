"""Cut a part out of a picture."""

from app.imaging.engine.vips import Image
from app.imaging.operations import Crop


def crop(image: Image, part: Crop) -> Image:
    return image.crop(part.left, part.top, *part.size(image.width, image.height))
