import numpy as np
import pytest

from app.imaging.engine.steps.flatten import flatten, is_opaque
from app.imaging.engine.vips import Image, from_bytes


def filled(*pixel: int) -> Image:
    return from_bytes(np.full((8, 8, len(pixel)), pixel, np.uint8).tobytes(), 8, 8, len(pixel))


@pytest.mark.parametrize(
    ("pixel", "seen"),
    [
        ((0, 0, 0, 0), [255, 255, 255]),
        ((0, 0, 0, 255), [0, 0, 0]),
        ((255, 0, 0, 127), [255, 128, 128]),
        ((9, 8, 7), [9, 8, 7]),
    ],
)
def test_on_white(pixel: tuple[int, ...], seen: list[int]) -> None:
    assert np.allclose(flatten(filled(*pixel)).numpy()[4, 4], seen, atol=1)


def test_gray_with_alpha() -> None:
    assert flatten(filled(0, 0)).numpy()[4, 4] == 255


def test_opaque() -> None:
    assert is_opaque(filled(1, 2, 3))
    assert is_opaque(filled(1, 2, 3, 255))
    assert not is_opaque(filled(1, 2, 3, 254))
    assert not is_opaque(filled(1, 0))
