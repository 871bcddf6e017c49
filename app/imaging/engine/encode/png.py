"""PNG: a palette of 256 colours where it looks the same, else lossless, either one packed by
oxipng."""

import math

import fast_ssim
import oxipng

from app.imaging.engine.vips import Image

# A palette costs 0.15-0.45 s of CPU a megapixel.
PALETTE_PIXELS = 20_000_000
# Half of full dithering: fewer bytes and nearer to the original than either full or none.
DITHER = 0.5
# A window of the comparison has 8 pixels a side.
COMPARABLE_SIDE = 16
# oxipng's level by the most pixels that it is used for. Seconds of CPU a megapixel of photo: 0.8,
# 0.4, 0.08; level 2 is worth it for graphics only, which are mostly small.
LEVELS = ((2, 250_000), (1, 4_000_000), (0, 40_000_000))
# zlib's level past that, by the most pixels, with one filter for all rows: 100 MP of four bands
# take 2.4 s at level 2 and 3.3 s at 3. Level 6 with the best filter for each row takes 13 s, for 1
# % fewer bytes of a photo.
ZLIB_LEVELS = ((3, 60_000_000), (2, math.inf))
COLOURS = {
    1: oxipng.ColorType.grayscale,
    2: oxipng.ColorType.grayscale_alpha,
    3: oxipng.ColorType.rgb,
    4: oxipng.ColorType.rgba,
}


def encode(image: Image, quality: int) -> bytes:
    """Quality 100 and gray pictures keep each pixel. Otherwise colours may be reduced to a palette
    that looks the same."""
    image = image.copy_memory()
    pixels = image.width * image.height
    level = next((level for level, most in LEVELS if pixels <= most), None)
    if quality < 100 and image.bands >= 3 and pixels <= PALETTE_PIXELS:
        palette = bytes(image.pngsave_buffer(palette=True, Q=quality, dither=DITHER, keep="none"))
        quick = image.pngsave_buffer(compression=1, filter="all", keep="none")
        if len(palette) < len(quick) * 0.9 and _passes_for(palette, image, quality):
            return palette if level is None else oxipng.optimize_from_memory(palette, level=level)
    if level is None:
        deflate = next(level for level, most in ZLIB_LEVELS if pixels <= most)
        return bytes(image.pngsave_buffer(compression=deflate, filter="up", keep="none"))
    raw = oxipng.RawImage(
        bytes(image.write_to_memory()), image.width, image.height, color_type=COLOURS[image.bands]()
    )
    return raw.create_optimized_png(level=level)


def _passes_for(palette: bytes, image: Image, quality: int) -> bool:
    """Whether the structural similarity (SSIM) of the two, alpha included, is what ``quality``
    asks: 0.94 at 80."""
    reduced = Image.pngload_buffer(palette)
    if min(image.width, image.height) < COMPARABLE_SIDE or reduced.bands != image.bands:
        return False
    before, after = (_visible(picture).numpy() for picture in (image, reduced))
    return bool(fast_ssim.ssim(before, after) >= 0.78 + quality / 500)


def _visible(picture: Image) -> Image:
    """Colours weighted by their alpha, since a transparent pixel may have any colour."""
    return picture.premultiply().cast("uchar") if picture.hasalpha() else picture
