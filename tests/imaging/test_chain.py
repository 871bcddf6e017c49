"""Chains of operations done to a smaller picture: they look as the whole ones would."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.imaging import Format, Limits, Preview, Transform
from app.imaging.chain import scaled, small_chain
from app.imaging.engine.perform import perform
from app.imaging.operations import (
    Axis,
    Blur,
    Crop,
    Fit,
    Layer,
    Mirror,
    Modulate,
    Operation,
    Position,
    Repetition,
    Resize,
    Rotate,
    Watermark,
)
from tests.images import photo

MOST = 100
SIDES = st.integers(1, 3000)
MARKS = {"mark": (300, 120)}


@st.composite
def operations(draw: st.DrawFn, width: int, height: int) -> Operation:
    """Any operation that fits a picture of this size."""
    match draw(st.sampled_from(["resize", "crop", "rotate", "mirror", "blur", "mark"])):
        case "resize":
            wide, high = draw(st.tuples(SIDES, SIDES | st.none()))
            return Resize(wide, high, draw(st.sampled_from(Fit)), draw(st.sampled_from(Position)))
        case "crop":
            left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            right = draw(st.integers(left + 1, width))
            return Crop(left, top, right, draw(st.integers(top + 1, height)))
        case "rotate":
            return Rotate(draw(st.sampled_from([90, 180, 270]) | st.floats(-45, 45)))
        case "mirror":
            return Mirror(draw(st.sampled_from(Axis)))
        case "blur":
            return Blur(draw(st.floats(0.3, 1000)))
    place = st.integers(-3000, 3000)
    size = st.none() | SIDES
    return Watermark((Layer("mark", draw(place), draw(place), draw(size), draw(size)),))


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[Operation, ...]]:
    size = width, height = draw(SIDES), draw(SIDES)
    chain: list[Operation] = []
    for _ in range(draw(st.integers(1, 4))):
        chain.append(draw(operations(width, height)))
        width, height = chain[-1].size(width, height)
    return size, tuple(chain)


@given(
    st.tuples(SIDES, SIDES).flatmap(lambda size: st.tuples(st.just(size), operations(*size))),
    st.floats(0.01, 1),
)
def test_what_comes_of_a_scaled_operation_is_as_much_smaller(
    case: tuple[tuple[int, int], Operation], factor: float
) -> None:
    size, operation = case
    small = tuple(max(1, round(side * factor)) for side in size)
    told = scaled(operation, factor, MARKS).size(*small)
    for shown, whole in zip(told, operation.size(*size), strict=True):
        slack = 1.0
        if isinstance(operation, Rotate):
            slack += 1  # it rounds up, from sides that were rounded
        elif isinstance(operation, Resize) and not operation.height:
            slack += shown / min(small)  # the ratio is that of a picture with rounded sides
        assert abs(shown - max(1, whole * factor)) <= slack + 1e-6


@given(st.tuples(SIDES, SIDES).flatmap(lambda size: operations(*size)))
def test_nothing_changes_at_the_same_size(operation: Operation) -> None:
    same = scaled(operation, 1, MARKS)
    if isinstance(operation, Watermark) and isinstance(same, Watermark):
        (before,), (after,) = operation.layers, same.layers
        assert (before.left, before.top) == (after.left, after.top)
        assert (before.width or after.width, before.height or after.height) == (
            after.width,
            after.height,
        )
    else:
        assert same == operation


@settings(max_examples=300)
@given(chains())
@example(((3000, 100), (Rotate(45.0), Crop(2190, 0, 2192, 2192))))
def test_a_small_chain_fits_and_tells_the_true_size(
    case: tuple[tuple[int, int], tuple[Operation, ...]],
) -> None:
    size, chain = case
    small = tuple(max(1, round(side * MOST / max(*size, MOST))) for side in size)
    got = small_chain(chain, size, (small[0], small[1]), MOST, MARKS)
    whole = size
    for operation in chain:
        whole = operation.size(*whole)
    assert (got.width, got.height) == whole
    slack = 3 * len(chain)  # each turn rounds up, from sides that were rounded
    across, down = small
    for operation in got.operations:
        if isinstance(operation, Crop):
            assert operation.right <= across
            assert operation.bottom <= down
        across, down = operation.size(across, down)
        assert max(across, down) <= MOST + slack
    assert max(across, down) <= MOST
    assert across <= whole[0] + slack
    assert down <= whole[1] + slack


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A photo and a mark with transparency."""
    photo(900, 600).save(tmp_path / "photo", "PNG")
    mark = Image.new("RGBA", (300, 120), (250, 30, 40, 200))
    mark.paste((0, 0, 0, 0), (40, 30, 120, 90))
    mark.save(tmp_path / "mark", "PNG")
    return tmp_path / "photo", tmp_path / "mark"


@pytest.mark.parametrize(
    "chain",
    [
        (Crop(101, 50, 801, 550), Rotate(7.5, (200, 10, 10, 255))),
        (Rotate(90), Mirror(Axis.BOTH), Crop(50, 100, 550, 800)),
        (Blur(12), Modulate(1.1, 0.5, 40, 3)),
        (Resize(700, 700, Fit.CONTAIN, Position.TOP, (0, 90, 200, 255)), Blur(6)),
        (Resize(1800, 500, Fit.COVER), Rotate(-20)),
        (Watermark((Layer("mark", 500, -30, 330),)), Crop(300, 0, 900, 400)),
        (Watermark((Layer("mark", 33, 21, 150, 60, Repetition.REPEAT),)),),
        (Resize(120), Rotate(45)),
    ],
)
def test_a_preview_looks_as_the_whole_picture_will(
    files: tuple[Path, Path], tmp_path: Path, chain: tuple[Operation, ...]
) -> None:
    source, mark = files
    limits, marks = Limits(), {"mark": mark}
    perform(source, tmp_path / "base", Preview(300, format=Format.PNG), limits)
    small = small_chain(chain, (900, 600), (300, 200), 300, MARKS)
    order = Preview(300, small.operations, Format.PNG, layers=marks)
    perform(tmp_path / "base", tmp_path / "shown", order, limits)
    whole = Preview(3000, chain, Format.PNG, layers=marks)
    perform(source, tmp_path / "whole", whole, limits)
    shown, final = Image.open(tmp_path / "shown"), Image.open(tmp_path / "whole")
    assert final.size == (small.width, small.height)
    assert max(shown.size) <= 300
    assert shown.width / shown.height == pytest.approx(final.width / final.height, rel=0.02)
    expected = final.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(shown.convert("RGB"), int) - np.asarray(expected, int))
    assert difference.mean() < 6


def test_a_transform_of_the_same_chain_has_the_same_pixels_where_nothing_is_smaller(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    chain = (Crop(10, 20, 610, 420), Rotate(5), Blur(2))
    perform(files[0], tmp_path / "final", Transform(Format.PNG, 100, operations=chain), Limits())
    order = Preview(1600, chain, Format.WEBP, 100)
    perform(files[0], tmp_path / "shown", order, Limits())
    pictures = (Image.open(tmp_path / name).convert("RGB") for name in ("final", "shown"))
    final, shown = (np.asarray(picture, int) for picture in pictures)
    assert final.shape == shown.shape
    assert np.abs(final - shown).mean() < 3
