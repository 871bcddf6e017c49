"""Pictures and videos: bytes in, bytes out.

The web process imports this and gets no image library with it: libvips started before a fork hangs
the child, and a hostile file may only ever meet a decoder in a child of ``ImagingPool``. ``engine``
is what the children run.
"""

from app.imaging.errors import (
    ImageTooLarge,
    ImageTooSlow,
    ImagingError,
    ImagingInterrupted,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.formats import Format
from app.imaging.keeper import Turn
from app.imaging.limits import Limits
from app.imaging.media import accepted, is_video, matches
from app.imaging.original import Original
from app.imaging.pool import ImagingPool
from app.imaging.transform import Derivation, Derived, Painting, Picture, Transform

__all__ = [
    "Derivation",
    "Derived",
    "Format",
    "ImageTooLarge",
    "ImageTooSlow",
    "ImagingError",
    "ImagingInterrupted",
    "ImagingPool",
    "Limits",
    "Original",
    "Painting",
    "Picture",
    "Transform",
    "Turn",
    "UnreadableImage",
    "UnsupportedImage",
    "accepted",
    "is_video",
    "matches",
]
