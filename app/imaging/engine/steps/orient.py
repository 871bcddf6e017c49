"""Turn a picture upright by its Exif orientation (Exif 2.32 §4.6.4)."""

from app.imaging.engine.vips import Image

TAG = "orientation"


def orientation(image: Image) -> int:
    """1-8; 1 where the tag is missing or means nothing."""
    value = image.get(TAG) if image.get_typeof(TAG) else 1
    return value if 1 <= value <= 8 else 1


def is_turned(image: Image) -> bool:
    """Whether upright means that width and height change places."""
    return orientation(image) >= 5


def orient(image: Image) -> Image:
    """The picture upright, without the tag."""
    if orientation(image) == 1:
        return image
    # A turn reads columns, and a picture that streams from its decoder gives rows only.
    return image.copy_memory().autorot()
