"""GIF by libvips' cgif: 256 colours a frame."""

from app.imaging.vips import Image


def encode(image: Image, quality: int) -> bytes:
    return bytes(image.gifsave_buffer(effort=7, keep="none"))
