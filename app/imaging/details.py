"""What a person wants to know of a file beyond its size: its colours and its metadata, as plain
frozen values."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Description:
    """Tell what metadata a file holds, and the colours of the small picture ``thumbnail``."""

    thumbnail: Path


@dataclass(frozen=True)
class Colour:
    """A dominant colour as ``#rrggbb``, and its share of the pixels that are seen, 0-1."""

    hex: str
    share: float


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself. Texts are short and without control characters.

    ``exposure`` is such as ``1/60 s, f/1.8, ISO 50, 4 mm``, ``taken_at`` such as ``2017-09-05
    12:34``. ``has_place``: it tells where the picture was taken. ``profile`` names the colour
    space. ``orientation`` is Exif's, 1 where the pixels are upright.
    """

    camera: str = ""
    lens: str = ""
    exposure: str = ""
    taken_at: str = ""
    software: str = ""
    author: str = ""
    copyright: str = ""
    profile: str = ""
    orientation: int = 1
    has_place: bool = False
    has_xmp: bool = False
    has_iptc: bool = False
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Details:
    """At most six colours, the most frequent first, and the metadata."""

    colours: tuple[Colour, ...]
    metadata: Metadata
