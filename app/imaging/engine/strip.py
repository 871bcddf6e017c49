"""The source's own pixels without its metadata, for where encoding would only make it larger."""

from collections.abc import Callable

import mozjpeg_lossless_optimization as mozjpeg
import oxipng

from app.imaging.engine.containers import gif, heif, jpeg, png, webp
from app.imaging.engine.containers.header import Data
from app.imaging.engine.containers.icc import is_srgb
from app.imaging.engine.steps.colour import profile
from app.imaging.engine.steps.orient import orientation
from app.imaging.engine.vips import Image
from app.imaging.formats import Source


def strip(data: Data, kind: Source, source: Image) -> bytes:
    """The file without metadata, never larger than it was. ``source`` is the picture as it was
    opened.

    Its orientation stays where it isn't 1, and its ICC profile where it isn't sRGB's: without them
    it would look different.
    """
    turned, embedded = orientation(source), profile(source)
    needed = embedded if embedded and not is_srgb(embedded) else None
    match kind:
        case Source.JPEG:
            return _smaller(jpeg.strip(data, orientation=turned, profile=needed), _optimised_jpeg)
        case Source.PNG:
            return _smaller(png.strip(data, orientation=turned), _optimised_png)
        case Source.WEBP:
            return webp.strip(data, orientation=turned, keep_profile=needed is not None)
        case Source.GIF:
            return gif.strip(data)
        case Source.AVIF:
            return heif.strip(data)
    raise ValueError(f"{kind} is not written")


def _smaller(stripped: bytes, optimise: Callable[[bytes], bytes]) -> bytes:
    """The optimised file, or the stripped one where the optimiser fails or makes it no smaller."""
    try:
        return min(optimise(stripped), stripped, key=len)
    except (ValueError, oxipng.PngError):
        return stripped


def _optimised_jpeg(stripped: bytes) -> bytes:
    """The same coefficients with better Huffman tables and scans."""
    return bytes(mozjpeg.optimize(stripped, copy=mozjpeg.COPY_MARKERS.ALL))


def _optimised_png(stripped: bytes) -> bytes:
    return oxipng.optimize_from_memory(stripped, level=2)
