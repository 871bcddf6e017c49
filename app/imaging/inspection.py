"""The gate: what a file is and claims, and whether that is within the limits, before any decoder sees it."""

from dataclasses import replace

from app.imaging.containers import bmp, gif, heif, jpeg, png, raw, tiff, webp
from app.imaging.containers.header import Data, Header
from app.imaging.formats import Format, Source
from app.imaging.limits import Limits
from app.imaging.sniff import identify

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


def inspect(data: Data, wanted: Format | None, limits: Limits) -> tuple[Source, Header | None]:
    """The source's format and header, its frames 1 unless it stays animated in the ``wanted`` format.

    RAW has no header here: LibRaw parses it without decoding, so its size is checked there; here only completeness is.
    """
    kind = identify(data)
    if kind is Source.RAW:
        raw.check_complete(data)
        return kind, None
    header = HEADERS[kind](data)
    output = wanted or kind.written_as
    if not (output and output.animates):
        header = replace(header, frames=1)
    limits.check(header)
    limits.check_scans(header.scans)
    return kind, header
