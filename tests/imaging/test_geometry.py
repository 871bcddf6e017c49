from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.imaging import Transform
from app.imaging.geometry import fit, shrink

side = st.integers(1, 20_000)
bound = st.none() | st.integers(1, 25_000)


@given(side, side, bound, bound)
def test_fit(width: int, height: int, max_width: int | None, max_height: int | None) -> None:
    fitted = fit(width, height, max_width, max_height)
    assert 1 <= fitted[0] <= min(width, max_width or width)
    assert 1 <= fitted[1] <= min(height, max_height or height)
    # Both sides are what one scale, the largest that fits, makes of them, to half a pixel.
    scale = min(
        Fraction(1), Fraction(max_width or width, width), Fraction(max_height or height, height)
    )
    for fitted_side, side_before in zip(fitted, (width, height), strict=True):
        exact = max(Fraction(1), side_before * scale)
        assert abs(fitted_side - exact) <= 0.5 + 1e-6


@given(side, side)
def test_a_free_box_changes_nothing(width: int, height: int) -> None:
    assert fit(width, height, None, None) == (width, height)
    assert shrink(Transform().fitted, width, height) == 1


@given(side, side, bound, bound)
def test_one_side_fills_the_box_where_it_shrinks(
    width: int, height: int, max_width: int | None, max_height: int | None
) -> None:
    fitted = fit(width, height, max_width, max_height)
    if fitted != (width, height):
        assert fitted[0] == max_width or fitted[1] == max_height


@given(side, side, bound, bound)
def test_each_side_by_itself_where_the_ratio_is_free(
    width: int, height: int, max_width: int | None, max_height: int | None
) -> None:
    fitted = fit(width, height, max_width, max_height, preserve_aspect=False)
    assert fitted == (min(width, max_width or width), min(height, max_height or height))
    # Shrunk on load by this much, neither side is smaller than it must become.
    factor = shrink(
        Transform(max_width=max_width, max_height=max_height, preserve_aspect=False).fitted,
        width,
        height,
    )
    assert factor >= 1
    assert width / factor >= fitted[0] - 1e-6
    assert height / factor >= fitted[1] - 1e-6


def test_examples() -> None:
    assert fit(4000, 3000, 1000, None) == (1000, 750)
    assert fit(4000, 3000, 1000, 300) == (400, 300)
    assert fit(10_000, 10, 100, None) == (100, 1)
    assert shrink(Transform(max_width=1000, max_height=300).fitted, 4000, 3000) == 10
    assert fit(4000, 3000, 1000, None, preserve_aspect=False) == (1000, 3000)
    stretched = Transform(max_width=1000, max_height=300, preserve_aspect=False)
    assert shrink(stretched.fitted, 4000, 3000) == 4
