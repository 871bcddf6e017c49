"""What a child can be asked to do with a file, and what it answers."""

from app.imaging.original import Examination, Original
from app.imaging.transform import Picture, Transform

Work = Transform | Examination
"""Each says what to do, as data; ``engine.perform`` does it."""

Result = Picture | Original
"""A Transform makes a Picture, an Examination an Original."""
