"""Camera RAW by LibRaw: the camera's white balance, sRGB, upright."""

import rawpy

from app.imaging.engine.containers.header import Header
from app.imaging.engine.decode.decoded import Decoded
from app.imaging.engine.vips import GValue, Image, VipsError, from_bytes
from app.imaging.errors import UNSUPPORTED, UnsupportedImage
from app.imaging.geometry import Sizing, shrink
from app.imaging.limits import Limits

# LibRaw's flip (after dcraw) as an Exif orientation: 3 is upside down, 5 and 6 lie on a side.
ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
# A preview may lack a few lines of the sensor; another format (16:9 of a 3:2 sensor) is another
# picture.
RATIO_TOLERANCE = 0.01


def raw(name: str, sizing: Sizing, limits: Limits) -> Decoded:
    """The sensor's whole image, or a quicker equal where little of it is wanted.

    That is the camera's own JPEG where it shows the same with enough pixels, or else one pixel for
    each 2 x 2 block (LibRaw's ``half_size``). The size is checked once LibRaw has parsed the file,
    before it unpacks the samples.
    """
    try:
        opened = rawpy.imread(name)
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnsupportedImage(UNSUPPORTED) from error
    with opened as picture:
        sizes = picture.sizes
        limits.check(Header(sizes.raw_width, sizes.raw_height))
        stored = (sizes.width, sizes.height)
        width, height = reversed(stored) if sizes.flip in (5, 6) else stored
        factor = shrink(sizing, width, height)
        preview = _preview(picture, stored, factor) if factor > 1 else None
        if preview is None:
            rgb = picture.postprocess(use_camera_wb=True, half_size=factor >= 2)
            preview = from_bytes(rgb.tobytes(), rgb.shape[1], rgb.shape[0], rgb.shape[2])
            if factor < 2:
                height, width = rgb.shape[:2]
    return Decoded(preview, width, height)


def _preview(picture: rawpy.RawPy, stored: tuple[int, int], factor: float) -> Image | None:
    """The embedded JPEG, if it shows the whole picture in ``factor`` times fewer pixels or more of
    them."""
    try:
        thumbnail = picture.extract_thumb()
        if thumbnail.format is not rawpy.ThumbFormat.JPEG:
            return None
        image = Image.jpegload_buffer(thumbnail.data, fail_on="warning").copy_memory()
    except (rawpy.LibRawError, VipsError):
        return None
    ratio = image.width / image.height * stored[1] / stored[0]
    if abs(ratio - 1) > RATIO_TOLERANCE or image.width * factor < stored[0] or image.bands != 3:
        return None
    return _turn_like(image, ORIENTATIONS.get(picture.sizes.flip))


def _turn_like(image: Image, orientation: int | None) -> Image | None:
    """The preview with the orientation of the sensor's image; None where its own orientation
    contradicts."""
    own = image.get("orientation") if image.get_typeof("orientation") else orientation
    if orientation is None or own != orientation:
        return None
    image = image.copy()
    image.set_type(GValue.gint_type, "orientation", orientation)
    return image
