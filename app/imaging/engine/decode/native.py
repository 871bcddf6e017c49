"""Formats that libvips reads by itself."""

from app.imaging.engine.decode.decoded import Decoded, whole
from app.imaging.engine.vips import Image
from app.imaging.geometry import Sizing


def jpeg(name: str, sizing: Sizing) -> Decoded:
    """libjpeg decodes at 1/2, 1/4 or 1/8, which costs a fraction and averages as a box filter
    does. Any of its warnings fails the picture."""
    full = whole(Image.jpegload(name, access="sequential", fail_on="warning"))
    factor = max(factor for factor in (1, 2, 4, 8) if factor <= full.shrink(sizing))
    if factor == 1:
        return full
    return full._replace(
        image=Image.jpegload(name, access="sequential", fail_on="warning", shrink=factor)
    )


def png(name: str) -> Image:
    """An APNG's default image."""
    return Image.pngload(name, access="sequential", fail_on="error")


def webp(name: str, sizing: Sizing, *, animated: bool) -> Decoded:
    """Opaque stills are scaled while decoding to twice what is wanted: the last halving is left to
    the better filter. libwebp would scale colours that nobody sees into those beside them."""
    if animated:
        return whole(Image.webpload(name, n=-1, fail_on="error"))
    full = whole(Image.webpload(name, access="sequential", fail_on="error"))
    shrink = full.shrink(sizing)
    if shrink <= 2 or full.image.hasalpha():
        return full
    return full._replace(
        image=Image.webpload(name, access="sequential", fail_on="error", scale=2 / shrink)
    )


def gif(name: str, *, animated: bool) -> Image:
    return Image.gifload(name, n=-1 if animated else 1, fail_on="truncated")


def tiff(name: str) -> Image:
    """The first page. What has no named colour space gets one by its number of bands; floats are
    scaled to bytes."""
    image = Image.tiffload(name, access="sequential", fail_on="error")
    if image.interpretation == "multiband":
        wide = image.format == "ushort"
        space = ("grey16" if wide else "b-w") if image.bands < 3 else ("rgb16" if wide else "srgb")
        image = image.copy(interpretation=space)
    if image.format in ("uchar", "ushort") or image.interpretation in (
        "scrgb",
        "lab",
        "labs",
        "xyz",
    ):
        return image
    return _to_bytes(image)


def _to_bytes(image: Image) -> Image:
    """Integers by their range, floats as 0-1 where they stay inside it, else from their least to
    their most."""
    image = image.copy_memory()
    if image.format in ("float", "double"):
        low, high = min(0.0, image.min()), max(1.0, image.max())
    else:
        bits = {"char": 7, "short": 15, "int": 31, "uint": 32}[image.format]
        low, high = 0.0, float(2**bits - 1)
    scaled = ((image - low) * (255 / (high - low))).rint().cast("uchar")
    return scaled.copy(interpretation="b-w" if image.bands < 3 else "srgb")
