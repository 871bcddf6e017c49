"""Pictures and videos: bytes in, bytes out.

The modules here are plain values. ``pool`` is what the web process loads to have work done, and
``engine`` is what the pool's worker processes run. The web process never loads the engine: libvips
hangs after a fork, and no hostile file may meet a decoder in the process that serves others.
"""

from app.imaging.details import Details
from app.imaging.errors import (
    ImageTooLarge,
    ImageTooSlow,
    ImagingError,
    ImagingInterrupted,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.formats import Format
from app.imaging.limits import Limits
from app.imaging.media import accepted, is_video, matches
from app.imaging.original import Original
from app.imaging.pool.pool import ImagingPool
from app.imaging.pool.supervisor_thread import Turn
from app.imaging.transform import Derivation, Derived, Painting, Picture, Preview, Transform

__all__ = [
    "Derivation",
    "Derived",
    "Details",
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
    "Preview",
    "Transform",
    "Turn",
    "UnreadableImage",
    "UnsupportedImage",
    "accepted",
    "is_video",
    "matches",
]
