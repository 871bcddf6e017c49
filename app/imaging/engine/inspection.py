"""The inspection of a file before any decoder sees it: what it is, what its header claims, and
whether that is within the limits."""

from dataclasses import replace

from app.imaging.engine.containers import bmp, gif, heif, jpeg, movie, png, raw, tiff, webm, webp
from app.imaging.engine.containers.header import Data, Header
from app.imaging.engine.sniff import identify
from app.imaging.errors import UNSUPPORTED, UnsupportedImage
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits

HEADERS = {
    Source.JPEG: jpeg.read_header,
    Source.PNG: png.read_header,
    Source.WEBP: webp.read_header,
    Source.GIF: gif.read_header,
    Source.HEIF: heif.read_header,
    Source.AVIF: heif.read_header,
    Source.TIFF: tiff.read_header,
    Source.BMP: bmp.read_header,
}
# The libraries for these tell the size themselves before they decode. Here is only checked that
# the file is complete.
COMPLETE = {
    Source.RAW: raw.check_complete,
    Source.MP4: movie.check_complete,
    Source.MOV: movie.check_complete,
    Source.WEBM: webm.check_complete,
}


def inspect(data: Data, wanted: Format | None, limits: Limits) -> tuple[Source, Header | None]:
    """An image's format and header, its frames 1 unless it stays animated in the ``wanted`` format.

    UnsupportedImage for anything else.
    """
    kind = identify(data)
    if kind.is_video:
        raise UnsupportedImage(UNSUPPORTED)
    output = wanted or kind.written_as
    return kind, measure(data, kind, limits, animated=bool(output and output.animates))


def measure(data: Data, kind: Source, limits: Limits, *, animated: bool) -> Header | None:
    """The header of an image, its frames 1 unless ``animated``. None for RAW and for videos."""
    if kind in COMPLETE:
        COMPLETE[kind](data)
        return None
    header = HEADERS[kind](data)
    if not animated:
        header = replace(header, frames=1)
    limits.check(header)
    limits.check_scans(header.scans)
    return header
