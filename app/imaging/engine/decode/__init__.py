"""From a file to a lazily evaluated libvips picture, shrunk on load where its format can do
that."""

from pathlib import Path

from app.imaging.engine.decode import bmp, heif, native, raw
from app.imaging.engine.decode.decoded import Decoded, whole
from app.imaging.formats import Source
from app.imaging.geometry import Sizing
from app.imaging.limits import Limits


def decode(path: Path, kind: Source, sizing: Sizing, limits: Limits, *, animated: bool) -> Decoded:
    """The picture of a file, not smaller than ``sizing`` makes it, in its own colours, not yet
    turned upright.

    ``animated`` loads all frames, stacked (libvips' toilet roll, with ``page-height``), else the
    first. Any of the decoders' own exceptions may come out, here or when the pixels are
    computed.
    """
    name = str(path)
    match kind:
        case Source.JPEG:
            return native.jpeg(name, sizing)
        case Source.PNG:
            return whole(native.png(name))
        case Source.WEBP:
            return native.webp(name, sizing, animated=animated)
        case Source.GIF:
            return whole(native.gif(name, animated=animated))
        case Source.TIFF:
            return whole(native.tiff(name))
        case Source.AVIF:
            return whole(heif.avif(path))
        case Source.HEIF:
            return whole(heif.heic(path))
        case Source.BMP:
            return whole(bmp.bmp(path))
        case Source.RAW:
            return raw.raw(name, sizing, limits)
    raise ValueError(f"{kind} is no image")
