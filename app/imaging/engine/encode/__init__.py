"""From an 8-bit sRGB or gray picture to the bytes of a file, without any metadata."""

from app.imaging.engine.encode import avif, gif, jpeg, png, webp
from app.imaging.engine.vips import Image
from app.imaging.formats import Format


def encode(
    image: Image,
    output: Format,
    quality: int,
    *,
    lossless: bool,
    ceiling: int = 100,
    subsampled: bool | None = None,
) -> bytes:
    """One picture, or a stack of frames where the format animates.

    ``quality`` is 1-100. At 100 PNG loses nothing; WebP neither, provided that the source was
    ``lossless`` as well: storing a JPEG's noise exactly would only make it larger. ``ceiling`` is
    the quality of the tables of a JPEG that becomes one again, ``subsampled`` whether its colours
    have fewer samples than its luma; None lets ``quality`` decide. ImageTooLarge where the format
    can't hold the size.
    """
    match output:
        case Format.JPEG:
            return jpeg.encode(image, quality, ceiling, subsampled=subsampled)
        case Format.PNG:
            return png.encode(image, quality)
        case Format.WEBP:
            return webp.encode(image, quality, lossless=lossless and quality == 100)
        case Format.AVIF:
            return avif.encode(image, quality)
        case Format.GIF:
            return gif.encode(image, quality)
