import numpy as np
import pytest

from app.imaging.engine.steps.mirror import mirror
from app.imaging.engine.vips import from_bytes
from app.imaging.operations import Axis
from tests.imaging.samples import noise


@pytest.mark.parametrize(
    ("axis", "mirrored"),
    [
        (Axis.HORIZONTAL, np.s_[:, ::-1]),
        (Axis.VERTICAL, np.s_[::-1]),
        (Axis.BOTH, np.s_[::-1, ::-1]),
    ],
)
def test_every_pixel_changes_places(axis: Axis, mirrored: tuple[slice, ...]) -> None:
    pixels = np.asarray(noise())
    assert (
        mirror(from_bytes(pixels.tobytes(), 256, 192, 3), axis).numpy() == pixels[mirrored]
    ).all()
