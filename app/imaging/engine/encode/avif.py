"""AVIF by libvips' libheif and libaom."""

from app.imaging.engine.vips import Image, VipsError
from app.imaging.errors import TOO_MUCH_MEMORY, ImageTooLarge

# libaom's effort by the most pixels that it is used for. Seconds of CPU a megapixel of photo: 0.5,
# 0.13, 0.09, 0.065; effort 3 makes a tenth more bytes than 4. Alpha costs as much again.
EFFORTS = ((4, 500_000), (3, 16_000_000), (2, 30_000_000))
LEAST_EFFORT = 0
# libaom holds about 27 bytes a pixel, half as many more with chroma of full size or with alpha. By
# whether there is alpha, the most pixels that fit a worker process's 2 GB, and with full chroma.
MOST_PIXELS = {False: 60_000_000, True: 40_000_000}
FULL_CHROMA_PIXELS = {False: 40_000_000, True: 25_000_000}
SIDE = 16_384
"""What libheif takes a side to have at most."""


def encode(image: Image, quality: int) -> bytes:
    """8 bits a channel; 4:2:0 below quality 90 or above 40 megapixels (with alpha 25), else 4:4:4.

    ImageTooLarge above 60 megapixels (with alpha 40) or 16,384 pixels a side.
    """
    if max(image.width, image.height) > SIDE:
        raise ImageTooLarge(
            f"AVIF is written up to {SIDE:,} pixels a side; set maxWidth or maxHeight, or take PNG."
        )
    pixels = image.width * image.height
    alpha = image.hasalpha()
    if pixels > MOST_PIXELS[alpha]:
        raise ImageTooLarge(
            f"AVIF is written up to {MOST_PIXELS[alpha] // 1_000_000} megapixels"
            f"{' with transparency' if alpha else ''}; set maxWidth or maxHeight, or take WebP."
        )
    work = pixels * 2 if alpha else pixels
    effort = next((effort for effort, most in EFFORTS if work <= most), LEAST_EFFORT)
    is_full = quality >= 90 and pixels <= FULL_CHROMA_PIXELS[alpha]
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
                subsample_mode="off" if is_full else "on",
                keep="none",
            )
        )
    except VipsError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error


def scaled(quality: int) -> int:
    """libaom's quality that looks as JPEG's does, by SSIMULACRA2 over four photos: 50 is 36, 80 is
    58, 100 is 100."""
    return round(quality * 0.725) if quality <= 80 else round(58 + (quality - 80) * 2.1)
