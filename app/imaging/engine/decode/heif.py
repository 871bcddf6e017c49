"""HEIC by libheif's own wheel (libvips' has no HEVC), AVIF by libvips. Both apply irot and imir
themselves."""

from pathlib import Path

import pillow_heif

from app.imaging.engine.containers import heif as container
from app.imaging.engine.steps import colour
from app.imaging.engine.vips import GValue, Image, from_bytes

# One thread: the pool's processes are what uses the cores.
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


def avif(path: Path) -> Image:
    """The primary item, for a sequence its still. Colours given by code points only are brought to
    sRGB."""
    image = Image.heifload(str(path), access="sequential", fail_on="error")
    data = path.read_bytes()
    if image.hasalpha() and container.is_premultiplied(data):
        image = image.unpremultiply().rint().cast(image.format)
    nclx = container.read_nclx(data)
    if nclx and not nclx.full_range and container.is_monochrome(data):
        image = _stretched(image)
    return image if image.get_typeof("icc-profile-data") else colour.from_code_points(image, nclx)


def _stretched(image: Image) -> Image:
    """Gray from 16-235 as 0-255, which libheif does for colour pictures but not for monochrome
    ones."""
    most = 65535 if image.format == "ushort" else 255
    count = 3 if image.bands > 2 else 1
    gray = image.extract_band(0, n=count).linear(255 / 219, -16 / 219 * most).cast(image.format)
    return gray.bandjoin(image[count]) if image.hasalpha() else gray


def heic(path: Path) -> Image:
    """The primary item; 10 and 12 bits arrive as 16."""
    heif_file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    picture = heif_file[heif_file.primary_index]
    bands = {"L": 1, "I": 1, "LA": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}[
        picture.mode.removesuffix(";16")
    ]
    wide = picture.mode.endswith(";16")
    image = from_bytes(picture.data, *picture.size, bands, wide=wide)
    if picture.premultiplied_alpha:
        image = image.unpremultiply().rint().cast(image.format)
    if profile := picture.info.get("icc_profile"):
        image = image.copy()
        image.set_type(GValue.blob_type, "icc-profile-data", profile)
        return image
    return colour.from_code_points(image, container.read_nclx(path.read_bytes()))
