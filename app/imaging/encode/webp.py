"""WebP."""

from app.imaging.vips import Image

SIDE = 16_383


def encode(image: Image, quality: int, *, lossless: bool = False) -> bytes:
    return bytes(image.webpsave_buffer(Q=quality, effort=4, lossless=lossless, keep="none"))
