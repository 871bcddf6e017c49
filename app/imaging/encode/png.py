"""PNG."""

import oxipng

from app.imaging.vips import Image


def encode(image: Image, quality: int) -> bytes:
    lossless = bytes(image.pngsave_buffer(compression=6, filter="all", keep="none"))
    return lossless
