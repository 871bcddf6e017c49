"""BMP by Pillow, as libvips' wheel has no loader for it."""

from pathlib import Path

from PIL import Image as Pillow

from app.imaging.engine.vips import Image, from_bytes

# Limits.check has looked at the header before; Pillow's own bound would only warn.
Pillow.MAX_IMAGE_PIXELS = None


def bmp(path: Path) -> Image:
    """Palettes are looked up; an alpha channel is one only where the file's masks say so."""
    with Pillow.open(path, formats=["BMP"]) as picture:
        mode = picture.mode if picture.mode in ("L", "RGB", "RGBA") else "RGB"
        pixels = picture.convert(mode)
        return from_bytes(pixels.tobytes(), *pixels.size, len(mode))
