"""What can be done to a picture, as data: plain frozen values, each of which knows the size that
comes of it.

Sizes and places are in pixels of the upright picture; places count from its upper left corner.
They need no decoder, so a caller can tell beforehand whether an operation fits.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from app.imaging.geometry import scaled

Colour = tuple[int, int, int, int]
"""sRGB and alpha, 0-255 each."""
BLACK: Colour = (0, 0, 0, 255)
# An angle this small moves the corner of the largest picture by a quarter of a pixel. So 1.5708
# radians count as a quarter turn.
UNSEEN_DEGREES = 0.001


class Fit(StrEnum):
    """How a picture gets a size of another ratio: stretched, with bars beside it, or with its
    sides cut off."""

    FILL = "fill"
    CONTAIN = "contain"
    COVER = "cover"


class Position(StrEnum):
    """The place of a picture between its bars, or of the part that is kept where it is cut off."""

    CENTER = "center"
    TOP = "top"
    RIGHT = "right"
    BOTTOM = "bottom"
    LEFT = "left"
    TOP_LEFT = "top-left"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_RIGHT = "bottom-right"

    def place(self, across: int, down: int) -> tuple[int, int]:
        """How much of the free pixels ``across`` and ``down`` is left of the picture, and above
        it."""
        sides = self.split("-")
        x = 0 if "left" in sides else across if "right" in sides else across // 2
        y = 0 if "top" in sides else down if "bottom" in sides else down // 2
        return x, y


class Axis(StrEnum):
    """What is swapped by a mirror: left with right, top with bottom, or both."""

    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"
    BOTH = "both"


class Repetition(StrEnum):
    """Whether a watermark is laid again beside itself until the picture ends."""

    NO_REPEAT = "no_repeat"
    REPEAT = "repeat"
    REPEAT_X = "repeat_x"
    REPEAT_Y = "repeat_y"


@dataclass(frozen=True)
class Resize:
    """Resize to exactly ``width`` x ``height``, also to a larger size. With only one of them the
    ratio stays."""

    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.FILL
    position: Position = Position.CENTER
    letterbox: Colour = BLACK

    def __post_init__(self) -> None:
        if not self.width and not self.height:
            raise ValueError("a resize needs a width or a height")

    def size(self, width: int, height: int) -> tuple[int, int]:
        if self.width and self.height:
            return self.width, self.height
        scale = (self.width or 0) / width or (self.height or 0) / height
        across, down = scaled(width, height, scale)
        return self.width or across, self.height or down

    def content(self, width: int, height: int) -> tuple[int, int]:
        """The size of the whole picture before bars are added to it or its sides cut off."""
        across, down = self.size(width, height)
        # With only one side given the ratio stays, apart from rounding: there is nothing to add or
        # to cut.
        match self.fit if self.width and self.height else Fit.FILL:
            case Fit.FILL:
                return across, down
            case Fit.CONTAIN:
                fitted = scaled(width, height, min(across / width, down / height))
                return min(fitted[0], across), min(fitted[1], down)
            case Fit.COVER:
                filling = scaled(width, height, max(across / width, down / height))
                return max(filling[0], across), max(filling[1], down)


@dataclass(frozen=True)
class Crop:
    """Keep the part between two corners. The pixels at ``right`` and ``bottom`` are outside."""

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right and 0 <= self.top < self.bottom):
            raise ValueError(
                "a crop has its left upper corner inside the picture and its right lower one "
                "beyond that"
            )

    def size(self, width: int, height: int) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class Rotate:
    """Turn clockwise about the middle. The picture grows by corners of ``background`` unless it is
    a quarter turn."""

    degrees: float
    background: Colour = BLACK

    @property
    def angle(self) -> float:
        """The turn in degrees, from 0 to 360."""
        return self.degrees % 360

    @property
    def quarters(self) -> int | None:
        """0-3 quarter turns; None for an angle in between."""
        nearest = round(self.angle / 90)
        return nearest % 4 if abs(self.angle - nearest * 90) <= UNSEEN_DEGREES else None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The smallest whole pixels around the turned rectangle."""
        if self.quarters is not None:
            return (height, width) if self.quarters % 2 else (width, height)
        cos, sin = abs(math.cos(math.radians(self.angle))), abs(math.sin(math.radians(self.angle)))
        # A rounding error must not add a pixel.
        return math.ceil(width * cos + height * sin - 1e-6), math.ceil(
            width * sin + height * cos - 1e-6
        )


class KeepsSize:
    """An operation that does not change the size of a picture."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        return width, height


@dataclass(frozen=True)
class Mirror(KeepsSize):
    axis: Axis


@dataclass(frozen=True)
class Blur(KeepsSize):
    """Blur by a Gaussian of the standard deviation ``sigma``, in pixels."""

    sigma: float


@dataclass(frozen=True)
class Modulate(KeepsSize):
    """Change colours in CIE LCh: lightness (0-100) times ``brightness`` plus ``lightness``, chroma
    times ``saturation``, hue turned by ``hue`` degrees."""

    brightness: float = 1.0
    saturation: float = 1.0
    hue: int = 0
    lightness: float = 0.0


@dataclass(frozen=True)
class Layer:
    """A picture that is laid over another. ``image`` names its file in ``Derivation.layers``; with
    one of ``width`` and ``height`` its ratio stays. It may begin or end outside."""

    image: str
    left: int = 0
    top: int = 0
    width: int | None = None
    height: int | None = None
    repetition: Repetition = Repetition.NO_REPEAT


@dataclass(frozen=True)
class Watermark(KeepsSize):
    """Lay layers over the picture, in order, each blended by its alpha."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class RemoveBackground(KeepsSize):
    """Make everything but the subject transparent. ``weights`` is the file of the network that
    tells them apart."""

    weights: str


def asks_for_transparency(operation: "Operation") -> bool:
    """Whether an operation may make opaque pixels transparent."""
    match operation:
        case Resize():
            return operation.fit is Fit.CONTAIN and operation.letterbox[3] < 255
        case Rotate():
            return operation.quarters is None and operation.background[3] < 255
        case _:
            return isinstance(operation, RemoveBackground)


Operation = Resize | Crop | Rotate | Mirror | Blur | Modulate | Watermark | RemoveBackground
