"""Mirror images."""

from app.imaging.operations import Axis
from app.imaging.vips import Image


def mirror(image: Image, axis: Axis) -> Image:
    """Left and right swapped, top and bottom swapped, or both."""
    match axis:
        case Axis.HORIZONTAL:
            return image.fliphor()
        # These begin with the last row, which a picture that streams from its decoder can't give.
        case Axis.VERTICAL:
            return image.copy_memory().flipver()
        case Axis.BOTH:
            return image.copy_memory().rot180()
