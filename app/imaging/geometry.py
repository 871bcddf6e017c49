"""Sizes in whole pixels."""

from collections.abc import Callable

Sizing = Callable[[int, int], tuple[int, int]]
"""The size that a picture of this width and height is to have."""


def fit(
    width: int,
    height: int,
    max_width: int | None,
    max_height: int | None,
    preserve_aspect: bool = True,
) -> tuple[int, int]:
    """The largest size inside the box: never enlarged, at least 1 x 1. None leaves a side free.

    Without ``preserve_aspect`` each side is bounded by itself, and the ratio is what comes of it.
    """
    if not preserve_aspect:
        return min(width, max_width or width), min(height, max_height or height)
    return scaled(
        width, height, min(1.0, (max_width or width) / width, (max_height or height) / height)
    )


def scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """Both sides times ``scale``, rounded, at least 1."""
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(sizing: Sizing, width: int, height: int) -> float:
    """How many times larger a picture is than it is to be, by the side that shrinks less: 1 or
    more."""
    across, down = sizing(width, height)
    return max(1.0, min(width / across, height / down))
