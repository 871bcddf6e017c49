"""Mirror images."""

from app.imaging.engine.vips import Image
from app.imaging.operations import Axis


def mirror(image: Image, axis: Axis) -> Image:
    """Left and right swapped, top and bottom swapped, or both."""
    match axis:
        case Axis.HORIZONTAL:
            return image.fliphor()
        # These read the last row first, and a picture that streams from its decoder gives it last.
        case Axis.VERTICAL:
            return image.copy_memory().flipver()
        case Axis.BOTH:
            return image.copy_memory().rot180()
