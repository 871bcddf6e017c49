"""WebP by libwebp."""

from app.imaging.engine.vips import Image
from app.imaging.errors import ImageTooLarge

# RFC 9649 §2: a side has 14 bits.
SIDE = 16_383
# Effort 4 takes 0.24 s of CPU a megapixel of photo; effort 2 a ninth of that, for 5 % more bytes.
EFFORT_PIXELS = 12_000_000
# Lossless takes 0.64 s a megapixel from effort 1 on, 0.34 s with effort 0; past these bounds it is
# given up.
LOSSLESS_EFFORT_PIXELS, LOSSLESS_PIXELS = 4_000_000, 16_000_000


def encode(image: Image, quality: int, *, lossless: bool) -> bytes:
    """Stills and animations. ImageTooLarge for a side that the format can't hold.

    ``lossless`` holds up to 16 megapixels, all frames together; larger ones are lossy at
    ``quality``.
    """
    if max(image.width, image.get_page_height()) > SIDE:
        raise ImageTooLarge(
            f"WebP holds at most {SIDE:,} pixels a side; set maxWidth or maxHeight, or take JPEG."
        )
    pixels = image.width * image.height
    lossless = lossless and pixels <= LOSSLESS_PIXELS
    effort = (
        4
        if pixels <= (LOSSLESS_EFFORT_PIXELS if lossless else EFFORT_PIXELS)
        else 0
        if lossless
        else 2
    )
    return bytes(image.webpsave_buffer(Q=quality, effort=effort, lossless=lossless, keep="none"))
