import pytest

from app.imaging.engine.steps import orient
from app.imaging.engine.vips import GValue, Image


def tagged(value: int) -> Image:
    image = Image.black(4, 2).copy()
    image.set_type(GValue.gint_type, "orientation", value)
    return image


@pytest.mark.parametrize(
    ("value", "turned"), [(1, False), (2, False), (4, False), (5, True), (6, True), (8, True)]
)
def test_turned(value: int, turned: bool) -> None:
    assert orient.is_turned(tagged(value)) is turned
    upright = orient.orient(tagged(value))
    assert (upright.width, upright.height) == ((2, 4) if turned else (4, 2))
    assert orient.orientation(upright) == 1


@pytest.mark.parametrize("value", [0, 9, -1, 274])
def test_values_that_mean_nothing(value: int) -> None:
    assert orient.orientation(tagged(value)) == 1


def test_no_tag() -> None:
    assert orient.orientation(Image.black(1, 1)) == 1
