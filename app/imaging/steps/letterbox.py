"""Bars beside a picture."""

from app.imaging.operations import Colour, Position
from app.imaging.steps.ground import grounded
from app.imaging.vips import Image


def letterbox(image: Image, width: int, height: int, position: Position, colour: Colour) -> Image:
    """The picture in ``width`` x ``height`` pixels of ``colour``; what is transparent in it stays
    so."""
    image, ink = grounded(image, colour)
    left, top = position.place(width - image.width, height - image.height)
    return image.embed(left, top, width, height, extend="background", background=ink)
