"""GIF by libvips' cgif: 256 colours a frame."""

from app.imaging.engine.vips import Image

# How far, of 255, a pixel may stay behind its last frame's value for each point of quality below
# 100 (6 at 80): 35 % fewer bytes for a video-like animation. Frames share a palette up to 10 off.
STALENESS = 0.3
PALETTE_ERROR = 10
# Quantising a photo takes 0.32 s of CPU a megapixel, half of it for dithering.
DITHERED_PIXELS = 10_000_000


def encode(image: Image, quality: int) -> bytes:
    """Stills and animations; below quality 100 pixels that hardly change are not stored again."""
    return bytes(
        image.gifsave_buffer(
            dither=1.0 if image.width * image.height <= DITHERED_PIXELS else 0.0,
            interframe_maxerror=round((100 - quality) * STALENESS),
            interpalette_maxerror=PALETTE_ERROR if quality < 100 else 3,
            keep="none",
        )
    )
