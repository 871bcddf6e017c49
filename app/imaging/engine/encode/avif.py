"""AVIF by libvips' libheif and libaom."""

from app.imaging.engine.vips import Image, VipsError
from app.imaging.errors import TOO_MUCH_MEMORY, ImageTooLarge

# libaom's effort by the most pixels that it is used for. Seconds of CPU a megapixel of photo: 0.5,
# 0.13, 0.09, 0.065; effort 3 makes a tenth more bytes than 4.
EFFORTS = ((4, 500_000), (3, 16_000_000), (2, 30_000_000))
LEAST_EFFORT = 0
# libaom holds about 25 bytes a pixel: 61 MP fit a worker process's 2 GB, 72 MP don't.
MOST_PIXELS = 60_000_000
SIDE = 16_384
"""What libheif takes a side to have at most."""


def encode(image: Image, quality: int) -> bytes:
    """8 bits a channel; 4:2:0 below quality 90, else 4:4:4. ImageTooLarge above 60 megapixels or
    16,384 pixels a side."""
    if max(image.width, image.height) > SIDE:
        raise ImageTooLarge(
            f"AVIF is written up to {SIDE:,} pixels a side; set maxWidth or maxHeight, or take PNG."
        )
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ImageTooLarge(
            "AVIF is written up to 60 megapixels; set maxWidth or maxHeight, or take WebP."
        )
    effort = next((effort for effort, most in EFFORTS if pixels <= most), LEAST_EFFORT)
    # A decoder's errors come out here. An error after this can only be libaom's lack of memory,
    # which it does not name.
    image = image.copy_memory()
    try:
        return bytes(
            image.heifsave_buffer(
                compression="av1",
                Q=scaled(quality),
                effort=effort,
                bitdepth=8,
                subsample_mode="off" if quality >= 90 else "on",
                keep="none",
            )
        )
    except VipsError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error


def scaled(quality: int) -> int:
    """libaom's quality that looks as JPEG's does, by SSIMULACRA2 over four photos: 50 is 36, 80 is
    58, 100 is 100."""
    return round(quality * 0.725) if quality <= 80 else round(58 + (quality - 80) * 2.1)
