"""JPEG by libvips' mozjpeg."""

from app.imaging.vips import Image


def encode(image: Image, quality: int) -> bytes:
    """Progressive, trellis-quantised, with ImageMagick's quantisation table; 4:2:0 below quality 90, else 4:4:4."""
    return bytes(
        image.jpegsave_buffer(
            Q=quality,
            interlace=True,
            trellis_quant=True,
            overshoot_deringing=True,
            quant_table=3,
            subsample_mode="auto",
            keep="none",
        )
    )
