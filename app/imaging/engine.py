"""One picture from file to file: told, measured, decoded, taken through the steps, encoded, written.

Imports libvips, so it is for the pool's children, tests and benchmarks; the web process has ``pool``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import AppError
from app.imaging.containers.header import Header
from app.imaging.decode import decode, native
from app.imaging.decode.decoded import Decoded
from app.imaging.encode import encode
from app.imaging.errors import TOO_MUCH_MEMORY, UNREADABLE, ImageTooLarge, UnreadableImage
from app.imaging.files import mapped, write
from app.imaging.formats import Format, Source
from app.imaging.geometry import Box, fit
from app.imaging.inspection import HEADERS, inspect
from app.imaging.limits import Limits
from app.imaging.steps import frames
from app.imaging.steps.colour import to_srgb
from app.imaging.steps.flatten import flatten, is_opaque
from app.imaging.steps.orient import is_turned, orient
from app.imaging.steps.resize import resize
from app.imaging.strip import strip
from app.imaging.transform import Picture, Transform
from app.imaging.vips import Image, VipsError

# Less than this is not worth another generation's loss.
WORTHWHILE = 0.95

# How libvips, libjpeg, libheif and the C library word it.
OUT_OF_MEMORY = ("out of memory", "insufficient memory", "memory allocation", "cannot allocate memory")

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


def convert(source: Path, target: Path, transform: Transform, limits: Limits) -> Picture:
    """Do what ``transform`` says with the file ``source`` and write ``target``, which appears whole or not at all.

    Raises UnsupportedImage, UnreadableImage or ImageTooLarge, and OSError where ``target`` can't be written. Time and
    memory are not bounded here but by the pool.
    """
    with worded_errors():
        with mapped(source) as data:
            kind, header = inspect(data, transform.format, limits)
        rendering = _render(source, kind, header, transform, limits)
        kept = _original(source, kind, rendering) if _may_keep(kind, rendering) else None
    content = kept or rendering.content
    write(target, content)
    return Picture(
        format=rendering.output,
        width=rendering.width,
        height=rendering.height,
        size=len(content),
        kept_original=kept is not None,
        source_format=kind.value,
        frames=HEADERS[Source(rendering.output.value)](content).frames,
    )


@contextmanager
def worded_errors() -> Iterator[None]:
    """Whatever the decoders raise, as one typed error."""
    try:
        yield
    except AppError:
        raise
    except MemoryError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error
    # A hostile file makes six libraries raise nearly any built-in exception, and each means the same to its sender.
    except Exception as error:
        if any(words in str(error).lower() for words in OUT_OF_MEMORY):
            raise ImageTooLarge(TOO_MUCH_MEMORY) from error
        raise UnreadableImage(UNREADABLE) from error


def _render(source: Path, kind: Source, header: Header | None, transform: Transform, limits: Limits) -> Rendering:
    """Decode, step, encode; once more, and less strictly, for a JPEG with a flaw that touches no pixel."""
    try:
        return _rendering(source, kind, header, transform, limits, strict=True)
    except VipsError as error:
        if kind is not Source.JPEG or not native.is_harmless(error):
            raise
    return _rendering(source, kind, header, transform, limits, strict=False)


def _rendering(
    source: Path, kind: Source, header: Header | None, transform: Transform, limits: Limits, *, strict: bool
) -> Rendering:
    box = Box(transform.max_width, transform.max_height)
    animated = header is not None and header.frames > 1
    decoded = decode(source, kind, box, limits, animated=animated, strict=strict)
    limits.check(decoded)
    width, height = fit(decoded.width, decoded.height, *box)
    image = frames.each(decoded.image, partial(_apply, steps(width, height)))
    if image.hasalpha():
        image = image.copy_memory()
        image = image.extract_band(0, n=image.bands - 1) if is_opaque(image) else image
    output = transform.format or kind.written_as or (Format.PNG if image.hasalpha() else Format.JPEG)
    if not output.alpha:
        image = flatten(image)
    # Above its own quality a JPEG only grows.
    ceiling = header.quality if header and header.quality and decoded.shrink(box) == 1 else 100
    lossless = header is not None and header.lossless
    content = encode(image, output, transform.quality, lossless=lossless, ceiling=ceiling)
    return Rendering(content, output, width, height, decoded)


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


def _may_keep(kind: Source, rendering: Rendering) -> bool:
    """Whether neither size nor format changed."""
    return kind.written_as is rendering.output and not rendering.resized


def _original(source: Path, kind: Source, rendering: Rendering) -> bytes | None:
    """The source, losslessly stripped, where encoding it made it hardly smaller, or larger; None where it was worth it.

    What was stripped is looked at again: a file that came out different, or larger, is not handed on.
    """
    with mapped(source) as data:
        if len(rendering.content) < len(data) * WORTHWHILE:
            return None
        stripped = strip(data, kind, rendering.decoded.image)
        before, after = HEADERS[kind](data), HEADERS[kind](stripped)
        same = (before.width, before.height, before.frames) == (after.width, after.height, after.frames)
        return stripped if same and len(stripped) <= len(data) else None
