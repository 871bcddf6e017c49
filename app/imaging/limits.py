"""What one file may cost. Checked on its header, before a decoder allocates, and once more on what
was decoded."""

from dataclasses import dataclass
from typing import Protocol

from app.imaging.errors import ImageTooLarge


class Measured(Protocol):
    """Anything with a size in pixels: a header, a decoded picture."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def frames(self) -> int: ...


@dataclass(frozen=True)
class Limits:
    """Bounds for one picture or video. Time and memory are bounded in the pool's worker
    processes only.

    ``max_pixels`` counts all frames of what stays animated together, ``max_side`` is in pixels.
    ``max_scans`` bounds progressive JPEG, where each scan passes over the whole picture again,
    ``max_duration_seconds`` a video. ``cpu_seconds`` and ``wall_seconds`` are per file;
    ``memory_bytes`` is address space on top of what the worker process has when a file begins.
    """

    max_pixels: int = 100_000_000
    max_frames: int = 1000
    max_side: int = 20_000
    max_scans: int = 100
    max_duration_seconds: float = 24 * 60 * 60
    cpu_seconds: float = 10.0
    wall_seconds: float = 30.0
    memory_bytes: int = 2_000_000_000

    def check(self, picture: Measured) -> None:
        """Raise ImageTooLarge where a picture's sides, frames or pixels pass the limits."""
        if max(picture.width, picture.height) > self.max_side:
            raise ImageTooLarge(
                f"The picture is over {self.max_side:,} pixels wide or high; send a smaller one."
            )
        if picture.frames > self.max_frames:
            raise ImageTooLarge(
                f"The animation has over {self.max_frames:,} frames; send a shorter one."
            )
        if picture.width * picture.height * picture.frames > self.max_pixels:
            whole = "animation's frames have" if picture.frames > 1 else "picture has"
            raise ImageTooLarge(
                f"The {whole} over {self.max_pixels // 1_000_000} megapixels; send smaller "
                "dimensions."
            )

    def check_scans(self, scans: int) -> None:
        """Raise ImageTooLarge for a progressive JPEG of more than ``max_scans`` passes."""
        if scans > self.max_scans:
            raise ImageTooLarge(
                f"The JPEG has over {self.max_scans} progressive scans; save it as a baseline JPEG."
            )

    def check_duration(self, seconds: float) -> None:
        """Raise ImageTooLarge for a video of more than ``max_duration_seconds``."""
        if seconds > self.max_duration_seconds:
            hours = self.max_duration_seconds / 3600
            raise ImageTooLarge(
                f"The video is longer than {hours:g} hours; send it in shorter parts."
            )
