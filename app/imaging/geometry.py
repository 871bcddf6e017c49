"""Sizes in whole pixels."""

from typing import NamedTuple


def fit(
    width: int, height: int, max_width: int | None, max_height: int | None, preserve_aspect: bool = True
) -> tuple[int, int]:
    """The largest size inside the box: never enlarged, at least 1 x 1. None leaves a side free.

    Without ``preserve_aspect`` each side is bounded by itself, and the ratio is what comes of it.
    """
    if not preserve_aspect:
        return min(width, max_width or width), min(height, max_height or height)
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    if scale == 1.0:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))


class Box(NamedTuple):
    """The sides, in pixels, that a picture is to fit inside; None leaves one free."""

    width: int | None
    height: int | None
    preserve_aspect: bool = True

    def shrink(self, width: int, height: int) -> float:
        """How many times larger a picture is than it will be, by the side that shrinks less: 1 or more."""
        fitted = fit(width, height, *self)
        return min(width / fitted[0], height / fitted[1])
