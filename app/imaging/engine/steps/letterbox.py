"""Bars beside a picture."""

from app.imaging.engine.steps.canvas_fill import canvas_fill
from app.imaging.engine.vips import Image
from app.imaging.operations import Colour, Position


def letterbox(image: Image, width: int, height: int, position: Position, colour: Colour) -> Image:
    """The picture in ``width`` x ``height`` pixels of ``colour``. Its own transparency stays."""
    image, ink = canvas_fill(image, colour)
    left, top = position.place(width - image.width, height - image.height)
    return image.embed(left, top, width, height, extend="background", background=ink)
