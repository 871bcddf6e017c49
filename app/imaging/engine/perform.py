"""What a worker process does with a file: convert it, derive an image from it, examine, describe or
preview it, or paint it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.errors import AppError
from app.imaging.details import Description, Details
from app.imaging.engine import colours, metadata
from app.imaging.engine.decode import video
from app.imaging.engine.files import mapped, write
from app.imaging.engine.inspection import HEADERS, inspect, measure
from app.imaging.engine.painting import paint
from app.imaging.engine.pipeline import steps
from app.imaging.engine.previewing import quick_render
from app.imaging.engine.rendering import NO_LAYERS, Rendering, finish, render
from app.imaging.engine.sniff import identify, media_type
from app.imaging.engine.strip import strip
from app.imaging.engine.unsupported import variant
from app.imaging.engine.vips import lacks_memory
from app.imaging.errors import (
    TOO_MUCH_MEMORY,
    UNREADABLE,
    UNSUPPORTED,
    UNSUPPORTED_MEDIA,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits
from app.imaging.original import Examination, Original
from app.imaging.transform import Derivation, Derived, Painting, Picture, Preview, Transform
from app.imaging.work import Result, Work

THUMBNAIL = Transform(Format.WEBP, quality=75, max_width=480, max_height=480)

# A file that shrinks less than this is not worth the loss of another encoding.
WORTHWHILE = 0.95


def perform(source: Path, target: Path, work: Work, limits: Limits) -> Result:
    """Do with the file ``source`` what is asked, and write ``target``. Raises what ``convert`` and
    ``examine`` raise."""
    match work:
        case Transform():
            return convert(source, target, work, limits)
        case Examination(watermarked):
            return examine(source, target, limits, watermarked_for_test=watermarked)
        case Derivation():
            return derive(source, target, work, limits)
        case Description(thumbnail):
            return describe(source, thumbnail)
        case Preview():
            return preview(source, target, work, limits)
        case Painting():
            return paint(target, work)


def convert(
    source: Path,
    target: Path,
    transform: Transform,
    limits: Limits,
    layers: Mapping[str, Path] = NO_LAYERS,
) -> Picture:
    """Do what ``transform`` says with the image ``source`` and write ``target``, which appears
    whole or not at all.

    ``layers`` are the files of watermarks, by the names that their layers give. Raises
    UnsupportedImage, UnreadableImage or ImageTooLarge, and OSError where ``target`` can't be
    written. The pool bounds time and memory, not this.
    """
    with worded_errors():
        with mapped(source) as data:
            kind, header = inspect(data, transform.format, limits)
        rendering = render(source, kind, header, transform, limits, layers=layers)
        kept = _original(source, kind, rendering) if _may_keep(kind, rendering) else None
    content = kept or rendering.content
    write(target, content)
    return _picture(kind, rendering, content)


def derive(source: Path, target: Path, derivation: Derivation, limits: Limits) -> Derived:
    """Write the transformed picture into ``target``, then a thumbnail of it. Raises what
    ``convert`` raises."""
    picture = convert(source, target, derivation.transform, limits, derivation.layers)
    with worded_errors():
        with mapped(target) as data:
            kind = identify(data)
            header = measure(data, kind, limits, animated=False)
        shown = render(target, kind, header, THUMBNAIL, limits)
    write(derivation.thumbnail, shown.content)
    return Derived(picture, _picture(kind, shown, shown.content))


def preview(source: Path, target: Path, order: Preview, limits: Limits) -> Picture:
    """Write into ``target`` a small picture of what the operations make of ``source``. Raises what
    ``convert`` raises."""
    with worded_errors():
        with mapped(source) as data:
            kind, _ = inspect(data, Format.PNG, limits)
        rendering = quick_render(source, kind, order, limits)
    write(target, rendering.content)
    return _picture(kind, rendering, rendering.content)


def examine(
    source: Path, target: Path, limits: Limits, *, watermarked_for_test: bool = False
) -> Original:
    """Tell what the image or video ``source`` is, and write a thumbnail or poster of it, whole or
    not at all.

    ``watermarked_for_test`` puts a test key's watermark on that picture.

    An image is decoded whole, all frames of an animation too. Of a video the structure is read and
    a frame near its beginning decoded. Raises what ``convert`` raises.
    """
    with worded_errors():
        try:
            small = replace(THUMBNAIL, watermarked_for_test=watermarked_for_test)
            original, content = _examined(source, limits, small)
        except UnsupportedImage as error:
            if error.message != UNSUPPORTED:
                raise
            raise UnsupportedImage(UNSUPPORTED_MEDIA) from error
    write(target, content)
    return original


def describe(source: Path, thumbnail: Path) -> Details:
    """Tell what metadata the file ``source`` holds, and the colours of its ``thumbnail``. Raises
    UnsupportedImage and UnreadableImage."""
    with worded_errors():
        with mapped(source) as data:
            found = metadata.read(data, identify(data))
        return Details(colours.dominant(thumbnail.read_bytes()), found)


def _examined(source: Path, limits: Limits, small: Transform) -> tuple[Original, bytes]:
    """What a file is, and the bytes of its thumbnail."""
    duration_ms: int | None = None
    with mapped(source) as data:
        kind = identify(data)
        mime = media_type(data, kind)
        header = measure(data, kind, limits, animated=True)
    if kind.is_video:
        poster, duration_ms = video.poster(source, kind, limits)
        rendering = finish(poster, kind, None, small, steps(small, NO_LAYERS, limits))
    else:
        rendering = render(source, kind, header, small, limits, still=True)
    original = Original(
        mime=mime,
        kind=kind.value,
        is_video=kind.is_video,
        width=rendering.decoded.width,
        height=rendering.decoded.height,
        frames=header.frames if header else 1,
        duration_ms=duration_ms,
        thumbnail=_picture(kind, rendering, rendering.content),
    )
    return original, rendering.content


def _picture(kind: Source, rendering: Rendering, content: bytes) -> Picture:
    """What a rendering is as a file of these bytes."""
    return Picture(
        format=rendering.output,
        width=rendering.width,
        height=rendering.height,
        size=len(content),
        kept_original=content is not rendering.content,
        source_format=kind.value,
        frames=HEADERS[Source(rendering.output.value)](content).frames,
    )


@contextmanager
def worded_errors() -> Iterator[None]:
    """Turn whatever the decoders raise into one typed error."""
    try:
        yield
    except AppError:
        raise
    except MemoryError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error
    # Hostile files make seven libraries raise nearly any built-in exception, and to the sender all
    # of them mean the same.
    except Exception as error:
        if lacks_memory(error):
            raise ImageTooLarge(TOO_MUCH_MEMORY) from error
        if refusal := variant(error):
            raise refusal from error
        raise UnreadableImage(UNREADABLE) from error


def _may_keep(kind: Source, rendering: Rendering) -> bool:
    """Whether neither picture nor format changed."""
    return kind.written_as is rendering.output and rendering.whole


def _original(source: Path, kind: Source, rendering: Rendering) -> bytes | None:
    """The source without its metadata, where encoding made it hardly smaller or even larger; else
    None.

    The stripped file is checked: one that came out different, or larger, is not handed on.
    """
    with mapped(source) as data:
        if len(rendering.content) < len(data) * WORTHWHILE:
            return None
        stripped = strip(data, kind, rendering.decoded.image)
        before, after = HEADERS[kind](data), HEADERS[kind](stripped)
        same = (before.width, before.height, before.frames) == (
            after.width,
            after.height,
            after.frames,
        )
        return stripped if same and len(stripped) <= len(data) else None
