"""AVIF by libvips' libheif and libaom."""

from app.imaging.vips import Image


def encode(image: Image, quality: int) -> bytes:
    return bytes(image.heifsave_buffer(compression="av1", Q=quality, effort=2, bitdepth=8, keep="none"))
