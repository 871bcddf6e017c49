"""Watermarks: other pictures laid over a picture, once or repeated, blended by their alpha."""

from collections.abc import Sequence

from app.imaging.engine.vips import Image
from app.imaging.operations import Layer, Repetition

# libvips repeats a tile copy by copy, so one of a few pixels is first made as large as this.
TILE = 256


def watermark(image: Image, layers: Sequence[tuple[Image, Layer]]) -> Image:
    """Lay pictures, in order, over an 8-bit one of sRGB or gray. Its size stays, and so does its
    alpha beside them.

    Each of them is 8-bit sRGB or gray, has the size that it is shown in, and is in memory, since it
    may be read many times.
    """
    # The parts under a layer and beside it are read separately, and a picture that streams from its
    # decoder is read once, in order.
    image = image.copy_memory()
    for picture, layer in layers:
        image = _lay(image, picture, layer)
    return image


def over(image: Image, mark: Image, left: int = 0, top: int = 0) -> Image:
    """Blend in ``mark`` at this place, which is wholly inside the image."""
    if image.bands < 3 and mark.bands >= 3:
        image = image.colourspace("srgb")
    elif mark.bands < 3 and image.bands >= 3:
        mark = mark.colourspace("srgb")
    return image.insert(_blend(image.crop(left, top, mark.width, mark.height), mark), left, top)


def _blend(image: Image, mark: Image) -> Image:
    """Two pictures of one size and colour space."""
    mark = mark.copy()
    # The height of an animation's frame would cut this picture into frames.
    mark.remove("page-height")
    if image.hasalpha():
        return image.composite2(mark, "over")
    if not mark.hasalpha():
        return mark
    return mark[image.bands].ifthenelse(mark.extract_band(0, n=image.bands), image, blend=True)


def _lay(image: Image, picture: Image, layer: Layer) -> Image:
    across = layer.repetition in (Repetition.REPEAT, Repetition.REPEAT_X)
    down = layer.repetition in (Repetition.REPEAT, Repetition.REPEAT_Y)
    left, right = _extent(layer.left, picture.width, image.width, repeated=across)
    top, bottom = _extent(layer.top, picture.height, image.height, repeated=down)
    if left >= right or top >= bottom:
        return image
    x, y = (left - layer.left) % picture.width, (top - layer.top) % picture.height
    if layer.repetition is not Repetition.NO_REPEAT:
        picture = tiled(picture, x + right - left, y + bottom - top)
    return over(image, picture.crop(x, y, right - left, bottom - top), left, top)


def _extent(start: int, length: int, whole: int, *, repeated: bool) -> tuple[int, int]:
    """Where a picture begins and ends along one side of the image."""
    return (0, whole) if repeated else (max(0, start), min(whole, start + length))


def tiled(tile: Image, width: int, height: int) -> Image:
    """A tile repeated from the upper left corner on, over at least this size."""
    block = _replicated(tile, min(width, TILE), min(height, TILE))
    if (block.width, block.height) != (tile.width, tile.height):
        block = block.copy_memory()
    return _replicated(block, width, height)


def _replicated(tile: Image, width: int, height: int) -> Image:
    return tile.replicate(-(-width // tile.width), -(-height // tile.height))
