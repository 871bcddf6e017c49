"""The orders that every side gets, in the same sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.photos import Photo


@dataclass(frozen=True)
class Job:
    """The conversion of a picture: ``quality`` 0–1 as in the form, ``max_width`` in pixels or
    None."""

    quality: float = 0.8
    max_width: int | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The form's fields."""
        return {"quality": f"{self.quality:g}"} | (
            {"maxWidth": str(self.max_width)} if self.max_width else {}
        )

    def __str__(self) -> str:
        return f"quality={self.quality:g}, " + (
            f"maxWidth={self.max_width}" if self.max_width else "full size"
        )


@dataclass(frozen=True)
class Order:
    """The photos of one request."""

    photos: tuple[Photo, ...]

    @property
    def is_batch(self) -> bool:
        return len(self.photos) > 1


def orders(photos: Sequence[Photo], images: int) -> list[Order]:
    """Return orders for at least ``images`` images. Each pass over the photos sends half of them as
    a batch and the others singly."""
    result: list[Order] = []
    together, alone = tuple(photos[0::2]), tuple(photos[1::2])
    while sum(len(order.photos) for order in result) < images:
        result += [Order(together), *(Order((photo,)) for photo in alone)]
        together, alone = alone, together
    return result
