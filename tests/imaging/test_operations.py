"""What comes of operations, told from their values and found in the files that they make."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.imaging import Transform
from app.imaging.operations import Axis, Crop, Fit, Mirror, Operation, Position, Resize, Rotate
from tests.imaging.samples import converted, corners, encoded, opened

SIDE = st.integers(1, 90)
COLOUR = st.sampled_from([(0, 0, 0, 255), (220, 20, 30, 255), (9, 9, 9, 0), (0, 0, 255, 128)])
SIDES = st.tuples(SIDE, SIDE) | st.tuples(SIDE, st.none()) | st.tuples(st.none(), SIDE)


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[Operation, ...]]:
    """A size, and operations that fit one after the other."""
    size = width, height = draw(SIDE), draw(SIDE)
    chain: list[Operation] = []
    for kind in draw(
        st.lists(st.sampled_from(["resize", "crop", "rotate", "mirror"]), min_size=1, max_size=3)
    ):
        match kind:
            case "resize":
                fit, position = draw(st.sampled_from(Fit)), draw(st.sampled_from(Position))
                wide, high = draw(SIDES)
                operation: Operation = Resize(wide, high, fit, position, draw(COLOUR))
            case "crop":
                left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
                operation = Crop(
                    left,
                    top,
                    draw(st.integers(left + 1, width)),
                    draw(st.integers(top + 1, height)),
                )
            case "rotate":
                turn = draw(st.sampled_from([0, 90, 180, 270, 360]) | st.floats(-1e4, 1e4))
                operation = Rotate(turn, draw(COLOUR))
            case "mirror":
                operation = Mirror(draw(st.sampled_from(Axis)))
        width, height = operation.size(width, height)
        if width * height > 50_000:
            break
        chain.append(operation)
    return size, tuple(chain)


@settings(max_examples=40, deadline=None)
@given(chain=chains(), mode=st.sampled_from(["L", "RGB", "RGBA"]))
@example(chain=((66, 73), (Resize(height=26, fit=Fit.COVER),)), mode="L")
def test_the_size_that_is_told_is_the_size_that_comes(
    tmp_path_factory: pytest.TempPathFactory,
    chain: tuple[tuple[int, int], tuple[Operation, ...]],
    mode: str,
) -> None:
    (width, height), operations = chain
    source = encoded(corners(width, height).convert(mode), "BMP" if mode == "RGB" else "PNG")
    folder = tmp_path_factory.mktemp("chain")
    picture, result = converted(folder, source, Transform(quality=None, operations=operations))
    for operation in operations:
        width, height = operation.size(width, height)
    assert (picture.width, picture.height) == opened(result).size == (width, height)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(-1e308, 1e308))
def test_a_turned_picture_has_room_and_no_more(width: int, height: int, degrees: float) -> None:
    turn = Rotate(degrees)
    angle = math.radians(degrees % 360)
    across = abs(width * math.cos(angle)) + abs(height * math.sin(angle))
    down = abs(width * math.sin(angle)) + abs(height * math.cos(angle))
    size = turn.size(width, height)
    # A thousandth of a degree from a quarter turn is taken for one.
    assert across - 0.1 <= size[0] < across + 1.1
    assert down - 0.1 <= size[1] < down + 1.1


@pytest.mark.parametrize(
    ("degrees", "quarters"),
    [
        (0, 0),
        (360, 0),
        (-90, 3),
        (450, 1),
        (-1e-20, 0),
        (180.0004, 2),
        (89.99, None),
        (math.degrees(1.5708), 1),
        (math.degrees(-math.pi), 2),
    ],
)
def test_quarter_turns(degrees: float, quarters: int | None) -> None:
    assert Rotate(degrees).quarters == quarters


def test_one_side_keeps_the_ratio() -> None:
    assert Resize(width=100).size(400, 300) == (100, 75)
    assert Resize(height=600).size(400, 300) == (800, 600)
    assert Resize(width=10).size(4000, 2) == (10, 1)


@given(SIDE, SIDE, SIDE, SIDE)
def test_what_is_contained_is_inside_and_what_covers_reaches_every_edge(
    width: int, height: int, across: int, down: int
) -> None:
    inside = Resize(across, down, Fit.CONTAIN).content(width, height)
    assert inside[0] == across or inside[1] == down
    assert inside[0] <= across
    assert inside[1] <= down
    beyond = Resize(across, down, Fit.COVER).content(width, height)
    assert beyond[0] == across or beyond[1] == down
    assert beyond[0] >= across
    assert beyond[1] >= down


@pytest.mark.parametrize("corner", [(5, 0, 5, 9), (0, 7, 9, 7), (-1, 0, 9, 9), (6, 0, 5, 9)])
def test_no_crop_of_nothing(corner: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError):
        Crop(*corner)


def test_no_resize_to_nothing() -> None:
    with pytest.raises(ValueError):
        Resize()


def test_operations_take_place_in_the_order_given(tmp_path: Path) -> None:
    source = encoded(corners(), "PNG")
    part = Crop(0, 0, 10, 10)
    first = opened(
        converted(tmp_path, source, Transform(quality=None, operations=(part, Rotate(90))))[1]
    )
    second = opened(
        converted(tmp_path, source, Transform(quality=None, operations=(Rotate(90), part)))[1]
    )
    assert first.convert("RGB").tobytes() == corners().crop((0, 0, 10, 10)).tobytes()
    turned = corners().transpose(Image.Transpose.ROTATE_270)
    assert second.convert("RGB").tobytes() == turned.crop((0, 0, 10, 10)).tobytes()


@settings(max_examples=300, deadline=None)
@given(
    width=st.integers(1, 3000), height=st.integers(1, 3000), sides=SIDES, fit=st.sampled_from(Fit)
)
def test_a_picture_that_was_shrunk_on_load_is_still_what_it_was(
    width: int, height: int, sides: tuple[int | None, int | None], fit: Fit
) -> None:
    """What has the content's size already comes to the same size, and is not resized again."""
    resize = Resize(*sides, fit)
    content = resize.content(width, height)
    assert resize.content(*content) == content
    assert resize.size(*content) == resize.size(width, height)
