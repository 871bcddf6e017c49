"""What comes out of a decoder."""

from typing import NamedTuple

from app.imaging.engine.steps import orient
from app.imaging.engine.vips import Image
from app.imaging.geometry import Sizing, shrink


class Decoded(NamedTuple):
    """A lazily evaluated picture, maybe shrunk on load, with its full size in pixels, upright, per
    frame."""

    image: Image
    width: int
    height: int

    @property
    def frames(self) -> int:
        """How many frames the image stacks."""
        return int(self.image.height // self.image.get_page_height())

    def first(self) -> "Decoded":
        """The first frame alone. Its pixels come from a loader that still decodes all of them."""
        if self.frames == 1:
            return self
        return self._replace(
            image=self.image.crop(0, 0, self.image.width, self.image.get_page_height())
        )

    def shrink(self, sizing: Sizing) -> float:
        """How many times larger the full picture is than it is to be: 1 or more."""
        return shrink(sizing, self.width, self.height)


def whole(image: Image) -> Decoded:
    """A picture that was not shrunk on load."""
    width, height = image.width, image.get_page_height()
    return (
        Decoded(image, height, width) if orient.is_turned(image) else Decoded(image, width, height)
    )
