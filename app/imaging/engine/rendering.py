"""From an image file to the bytes of a picture: decoded, taken through the steps, encoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from app.imaging.chain import check
from app.imaging.engine import pipeline, quality
from app.imaging.engine.containers.header import Header
from app.imaging.engine.decode import decode
from app.imaging.engine.decode.decoded import Decoded
from app.imaging.engine.encode import encode, jpeg
from app.imaging.engine.mending import forgiving
from app.imaging.engine.steps import frames
from app.imaging.engine.steps.flatten import flatten, is_opaque
from app.imaging.engine.steps.orient import is_turned
from app.imaging.engine.steps.upright import upright
from app.imaging.engine.vips import Image
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits
from app.imaging.operations import Mirror, Rotate, asks_for_transparency
from app.imaging.transform import Transform

NO_LAYERS: Mapping[str, Path] = MappingProxyType({})
# Pillow takes 12 bytes a pixel to write a JPEG.
ALIKE_PIXELS = 40_000_000


@dataclass(frozen=True)
class Rendering:
    """An encoded picture: its bytes, its size in pixels, and what it was decoded from.

    ``whole``: it shows its source pixel for pixel, apart from the encoder's losses.
    """

    content: bytes
    output: Format
    width: int
    height: int
    decoded: Decoded
    whole: bool


def render(
    source: Path,
    kind: Source,
    header: Header | None,
    transform: Transform,
    limits: Limits,
    *,
    layers: Mapping[str, Path] = NO_LAYERS,
    still: bool = False,
) -> Rendering:
    """Decode, step, encode. ``layers`` are the files of watermarks, by the names that their layers
    give.

    ``still`` shows only the first frame of an animation; all frames are decoded nevertheless.
    """

    def attempt(source: Path) -> Rendering:
        animated = header is not None and header.frames > 1
        decoded = decode(source, kind, transform.first_size, limits, animated=animated)
        limits.check(decoded)
        fitted = transform.fitted(decoded.width, decoded.height)
        check(transform.operations, *fitted, decoded.frames, limits)
        steps = pipeline.steps(transform, layers, limits)
        tables = _own_tables(source, kind, transform, decoded)
        return finish(decoded.first() if still else decoded, kind, header, transform, steps, tables)

    return forgiving(source, kind, attempt)


def finish(
    decoded: Decoded,
    kind: Source,
    header: Header | None,
    transform: Transform,
    steps: tuple[pipeline.Step, ...] = (),
    tables: jpeg.Tables | None = None,
) -> Rendering:
    """Take a decoded picture upright and through the steps, and encode it, as JPEG with ``tables``
    where given."""
    image, output = drawn(decoded, kind, transform, steps)
    size = (image.width, image.get_page_height())
    whole = size == (decoded.width, decoded.height) and not steps
    if tables:
        content = jpeg.encode_alike(image, tables)
    else:
        # Above its own quality a JPEG only grows.
        ceiling = (
            header.quality if header and header.quality and whole and transform.quality else 100
        )
        lossless = header is not None and header.lossless
        wanted = transform.quality or quality.kept(kind, header, output)
        subsampled = header.subsampled if header and not transform.quality else None
        content = encode(
            image, output, wanted, lossless=lossless, ceiling=ceiling, subsampled=subsampled
        )
    return Rendering(content, output, *size, decoded, whole)


def drawn(
    decoded: Decoded, kind: Source, transform: Transform, steps: tuple[pipeline.Step, ...]
) -> tuple[Image, Format]:
    """Take a decoded picture upright and through the steps. Returns it as it is to be encoded, and
    in which format."""
    width, height = transform.first_size(decoded.width, decoded.height)
    first = partial(upright, width=width, height=height)
    image = frames.each(decoded.image, partial(pipeline.run_pipeline, (first, *steps)))
    if image.hasalpha():
        image = image.copy_memory()
        image = image.extract_band(0, n=image.bands - 1) if is_opaque(image) else image
    output = _output(transform, kind, image)
    return image if output.alpha else flatten(image), output


def _output(transform: Transform, kind: Source, image: Image) -> Format:
    """The format asked for, or the source's, or else one that holds what the picture has become."""
    asked = transform.format or kind.written_as
    clear = any(asks_for_transparency(operation) for operation in transform.operations)
    if asked and not (clear and not transform.format and not asked.alpha):
        return asked
    return Format.PNG if clear or image.hasalpha() else Format.JPEG


def _own_tables(
    source: Path, kind: Source, transform: Transform, decoded: Decoded
) -> jpeg.Tables | None:
    """A JPEG's own tables where it is only turned and mirrored: with them a second encoding loses
    nearly nothing."""
    again = (
        kind is Source.JPEG
        and transform.format in (None, Format.JPEG)
        and transform.quality is None
    )
    size = (decoded.width, decoded.height)
    if (
        not again
        or transform.watermarked_for_test
        or transform.fitted(*size) != size
        or decoded.width * decoded.height > ALIKE_PIXELS
    ):
        return None
    sideways = is_turned(decoded.image)
    for operation in transform.operations:
        match operation:
            case Rotate(quarters=int(quarters)):
                sideways ^= bool(quarters % 2)
            case Mirror():
                pass
            case _:
                return None
    return jpeg.tables(source, sideways=sideways)
