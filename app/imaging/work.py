"""What a worker process can be asked to do with a file, and what it answers."""

from pathlib import Path

from app.imaging.details import Description, Details
from app.imaging.original import Examination, Original
from app.imaging.transform import Derivation, Derived, Painting, Picture, Preview, Transform

Work = Transform | Derivation | Examination | Description | Preview | Painting
"""Each says what to do, as data; ``engine/perform.py`` does it."""

Result = Picture | Derived | Original | Details
"""A Transform, a Preview or a Painting makes a Picture, a Derivation a Derived, an Examination an
Original, a Description Details."""


def part_of(target: Path) -> Path:
    """Where the bytes of a target are while they are incomplete. The worker process writes there,
    and its supervisor thread cleans up after one that failed."""
    return target.with_name(target.name + ".part")
