"""What a child can be asked to do with a file, and what it answers."""

from app.imaging.original import Examination, Original
from app.imaging.transform import Derivation, Derived, Painting, Picture, Transform

Work = Transform | Derivation | Examination | Painting
"""Each says what to do, as data; ``engine.perform`` does it."""

Result = Picture | Derived | Original
"""A Transform or a Painting makes a Picture, a Derivation a Derived, an Examination an Original."""
