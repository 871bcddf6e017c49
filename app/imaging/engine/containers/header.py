"""What a file says of itself."""

import mmap
from dataclasses import dataclass

Data = bytes | mmap.mmap


class Damaged(ValueError):
    """A file that breaks its own format's rules; the text is for logs and tests, not for the
    user."""


@dataclass(frozen=True)
class Header:
    """A picture's claims: ``width`` and ``height`` in pixels as stored, ``frames`` of the
    animation, JPEG's ``scans``.

    ``quality`` is JPEG's, 1-100, estimated; None for every other format, as is ``subsampled``:
    whether its colours have fewer samples than its luma. ``lossless`` tells WebP's two kinds apart.
    """

    width: int
    height: int
    frames: int = 1
    scans: int = 1
    quality: int | None = None
    subsampled: bool | None = None
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.frames < 1:
            raise Damaged("no picture inside")
