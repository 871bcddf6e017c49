"""A chain of operations as a whole: whether it fits a picture, and how it is done to a smaller
one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.imaging.errors import ImageTooLarge, OutsideImage
from app.imaging.geometry import fit
from app.imaging.geometry import scaled as times
from app.imaging.limits import Limits
from app.imaging.operations import Blur, Crop, Layer, Operation, Resize, Watermark

# libvips counts no more than ten million pixels along a side, and a picture that covers is that
# large before its sides are cut off.
MOST_COVERED_SIDE = 5_000_000
Size = tuple[int, int]


def check(
    operations: Iterable[Operation], width: int, height: int, frames: int, limits: Limits
) -> None:
    """Raise ImageTooLarge where the result, or a picture on the way to it, passes the limits.
    Computes no pixel.

    OutsideImage for a crop that reaches over the edge.
    """
    for operation in operations:
        before = f"{width:,} x {height:,} pixels"
        if isinstance(operation, Crop) and (operation.right > width or operation.bottom > height):
            raise OutsideImage(
                f"The crop reaches over the edge: what it is taken from has {before}."
            )
        if (
            isinstance(operation, Resize)
            and max(operation.content(width, height)) > MOST_COVERED_SIDE
        ):
            raise ImageTooLarge(
                f"What has {before} is too narrow to cover that; crop it first, or take another "
                "fit."
            )
        width, height = operation.size(width, height)
        if max(width, height) > limits.max_side or width * height * frames > limits.max_pixels:
            count = f"{frames:,} frames of " if frames > 1 else ""
            raise ImageTooLarge(
                f"This would make {count}{width:,} x {height:,} pixels, but a result has at most "
                f"{limits.max_side:,} pixels a side and {limits.max_pixels // 1_000_000} "
                "megapixels in all; ask for a smaller one."
            )


@dataclass(frozen=True)
class SmallChain:
    """Operations as they are done to a smaller picture, and the size in pixels of what the original
    ones make."""

    operations: tuple[Operation, ...]
    width: int
    height: int


def small_chain(
    operations: Iterable[Operation],
    whole: Size,
    small: Size,
    most: int,
    layers: Mapping[str, Size],
    on_the_way: int = 0,
) -> SmallChain:
    """A chain for a picture of the size ``whole``, done to the same one of the size ``small``.

    Its result has at most ``most`` pixels a side, and what comes before that at most as many, or
    ``on_the_way`` if that is more; nothing is larger than the original chain would make it.
    ``layers`` are the sizes of the pictures that watermarks name.
    """
    on_the_way = max(most, on_the_way)
    done: list[Operation] = []
    factor = max(small) / max(whole)
    for operation in operations:
        after = operation.size(*whole)
        if isinstance(operation, Resize):
            factor = min(1.0, most / max(after))
            if not (operation.width and operation.height):
                # Both sides, as the other follows from a ratio that rounding has changed.
                operation = Resize(*after)
        elif max(after) * factor > on_the_way:
            factor = on_the_way / max(after)
            across, down = times(*whole, factor)
            small = min(small[0], across), min(small[1], down)
            done.append(Resize(*small))
        step = scaled(operation, factor, layers)
        if isinstance(step, Crop):
            step = _inside(step, small)
        done.append(step)
        whole, small = after, step.size(*small)
    if max(small) > most:
        done.append(Resize(*fit(*small, most, most)))
    return SmallChain(tuple(done), *whole)


def wanted_side(operations: Iterable[Operation], whole: Size, most: int) -> int:
    """How many pixels the longer side of a picture must have for a result of ``most`` pixels a side
    to be sharp: the more, the less of it a crop keeps."""
    size = whole
    for operation in operations:
        if isinstance(operation, Resize):
            break
        size = operation.size(*size)
    return min(max(whole), round(max(whole) * most / max(size)))


def scaled(operation: Operation, factor: float, layers: Mapping[str, Size]) -> Operation:
    """The operation for a picture whose sides are ``factor`` times as long, so that the result is
    the same, ``factor`` times as large. What has no pixels in it stays."""

    def long(length: int) -> int:
        return max(1, round(length * factor))

    match operation:
        case Watermark():
            return Watermark(
                tuple(_scaled(layer, factor, layers[layer.image]) for layer in operation.layers)
            )
        case _ if factor == 1:
            return operation
        case Resize(width, height):
            return replace(operation, width=width and long(width), height=height and long(height))
        case Crop(left, top, right, bottom):
            x, y = round(left * factor), round(top * factor)
            return Crop(x, y, x + long(right - left), y + long(bottom - top))
        case Blur(sigma):
            return Blur(sigma * factor)
        case _:
            return operation


def _scaled(layer: Layer, factor: float, picture: Size) -> Layer:
    """With both sides given, since the file at hand may be a smaller one."""
    wanted = layer.width or layer.height
    width, height = Resize(layer.width, layer.height).size(*picture) if wanted else picture
    return replace(
        layer,
        left=round(layer.left * factor),
        top=round(layer.top * factor),
        width=max(1, round(width * factor)),
        height=max(1, round(height * factor)),
    )


def _inside(crop: Crop, picture: Size) -> Crop:
    """A crop that rounding moved over the edge, put back."""
    width, height = picture
    left, top = min(crop.left, width - 1), min(crop.top, height - 1)
    return Crop(left, top, min(crop.right, width), min(crop.bottom, height))
