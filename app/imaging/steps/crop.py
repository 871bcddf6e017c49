"""Cutting a part out of a picture."""

from app.imaging.operations import Crop
from app.imaging.vips import Image


def crop(image: Image, part: Crop) -> Image:
    return image.crop(part.left, part.top, *part.size(image.width, image.height))
