"""Lay transparency on white, and tell whether there is any."""

from app.imaging.engine.vips import Image

WHITE = 255


def flatten(image: Image) -> Image:
    """An 8-bit picture on white."""
    return image.flatten(background=WHITE) if image.hasalpha() else image


def is_opaque(image: Image) -> bool:
    """Whether no pixel is transparent, even in part. Computes the picture."""
    return not image.hasalpha() or bool(image[image.bands - 1].min() == WHITE)
