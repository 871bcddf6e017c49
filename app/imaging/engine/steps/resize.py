"""Bring a picture to a size."""

from app.imaging.engine.steps.letterbox import letterbox
from app.imaging.engine.vips import Image, Interpolate
from app.imaging.operations import Fit
from app.imaging.operations import Resize as Operation


def resize(image: Image, width: int, height: int) -> Image:
    """Exactly this size: smaller by Lanczos 3, larger bicubically.

    Colour under transparency doesn't bleed: it is weighted by its alpha.
    """
    if (image.width, image.height) == (width, height):
        return image
    if not image.hasalpha():
        return _scaled(image, width, height)
    return _scaled(image.premultiply(), width, height).unpremultiply().rint().cast(image.format)


def _scaled(image: Image, width: int, height: int) -> Image:
    smaller = image.resize(min(1, width / image.width), vscale=min(1, height / image.height))
    across, down = width / smaller.width, height / smaller.height
    if (across, down) == (1, 1):
        return smaller
    # libvips' resize would shift an enlarged picture by half a pixel.
    return smaller.affine(
        [across, 0, 0, down],
        interpolate=Interpolate.new("bicubic"),
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        oarea=[0, 0, width, height],
        extend="copy",
        premultiplied=True,
    )


def reframe(image: Image, operation: Operation) -> Image:
    """Bring a picture to the operation's size by its fit. One that already has its content's size
    only gets its frame."""
    width, height = operation.size(image.width, image.height)
    image = resize(image, *operation.content(image.width, image.height))
    match operation.fit:
        case Fit.FILL:
            return image
        case Fit.CONTAIN:
            return letterbox(image, width, height, operation.position, operation.letterbox)
        case Fit.COVER:
            left, top = operation.position.place(image.width - width, image.height - height)
            return image.crop(left, top, width, height)
