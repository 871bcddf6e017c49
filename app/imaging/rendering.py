"""From an image file to the bytes of a picture: decoded, taken through the steps, encoded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.imaging.containers.header import Header
from app.imaging.decode import decode, native
from app.imaging.decode.decoded import Decoded
from app.imaging.encode import encode
from app.imaging.formats import Format, Source
from app.imaging.geometry import Box, fit
from app.imaging.limits import Limits
from app.imaging.steps import frames
from app.imaging.steps.colour import to_srgb
from app.imaging.steps.flatten import flatten, is_opaque
from app.imaging.steps.orient import is_turned, orient
from app.imaging.steps.resize import resize
from app.imaging.transform import Transform
from app.imaging.vips import Image, VipsError

Step = Callable[[Image], Image]


@dataclass(frozen=True)
class Rendering:
    """An encoded picture: its bytes, its size in pixels, and what it was decoded from."""

    content: bytes
    output: Format
    width: int
    height: int
    decoded: Decoded

    @property
    def resized(self) -> bool:
        return (self.width, self.height) != (self.decoded.width, self.decoded.height)


def render(
    source: Path, kind: Source, header: Header | None, transform: Transform, limits: Limits, *, still: bool = False
) -> Rendering:
    """Decode, step, encode; once more, and less strictly, for a JPEG with a flaw that touches no pixel.

    ``still`` shows the first frame of an animation, all of which is decoded nevertheless.
    """
    attempt = partial(_rendering, source, kind, header, transform, limits, still=still)
    try:
        return attempt(strict=True)
    except VipsError as error:
        if kind is not Source.JPEG or not native.is_harmless(error):
            raise
    return attempt(strict=False)


def _rendering(
    source: Path,
    kind: Source,
    header: Header | None,
    transform: Transform,
    limits: Limits,
    *,
    still: bool,
    strict: bool,
) -> Rendering:
    animated = header is not None and header.frames > 1
    decoded = decode(source, kind, box_of(transform), limits, animated=animated, strict=strict)
    limits.check(decoded)
    return finish(decoded.first() if still else decoded, kind, header, transform)


def finish(decoded: Decoded, kind: Source, header: Header | None, transform: Transform) -> Rendering:
    """Take a decoded picture through the steps and encode it."""
    width, height = fit(decoded.width, decoded.height, *box_of(transform))
    image = frames.each(decoded.image, partial(_apply, steps(width, height)))
    if image.hasalpha():
        image = image.copy_memory()
        image = image.extract_band(0, n=image.bands - 1) if is_opaque(image) else image
    output = transform.format or kind.written_as or (Format.PNG if image.hasalpha() else Format.JPEG)
    if not output.alpha:
        image = flatten(image)
    # Above its own quality a JPEG only grows.
    whole = (width, height) == (decoded.width, decoded.height)
    ceiling = header.quality if header and header.quality and whole else 100
    lossless = header is not None and header.lossless
    content = encode(image, output, transform.quality, lossless=lossless, ceiling=ceiling)
    return Rendering(content, output, width, height, decoded)


def box_of(transform: Transform) -> Box:
    return Box(transform.max_width, transform.max_height, transform.preserve_aspect)


def steps(width: int, height: int) -> tuple[Step, ...]:
    """What is done to each frame, in order: the costly ones come after it has become small."""
    return (partial(_resize_upright, width=width, height=height), orient, to_srgb)


def _resize_upright(image: Image, width: int, height: int) -> Image:
    """Resize a picture that is still as it was stored to a size meant for it upright."""
    return resize(image, height, width) if is_turned(image) else resize(image, width, height)


def _apply(chain: tuple[Step, ...], image: Image) -> Image:
    for step in chain:
        image = step(image)
    return image
