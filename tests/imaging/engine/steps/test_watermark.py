"""Against blending pixel by pixel: W3C Compositing and Blending Level 1 §5.1, source over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.imaging.engine.steps.watermark import watermark
from app.imaging.engine.vips import GValue, Image, from_bytes
from app.imaging.operations import Layer, Repetition

Pixels = NDArray[np.uint8]
ACROSS, DOWN = (Repetition.REPEAT, Repetition.REPEAT_X), (Repetition.REPEAT, Repetition.REPEAT_Y)


def image_of(pixels: Pixels) -> Image:
    height, width, bands = pixels.shape
    return from_bytes(np.ascontiguousarray(pixels).tobytes(), width, height, bands)


def filled(width: int, height: int, *pixel: int) -> Image:
    return image_of(np.full((height, width, len(pixel)), pixel, np.uint8))


def pixels_of(image: Image) -> Pixels:
    pixels: Pixels = image.numpy().reshape(image.height, image.width, image.bands)
    return pixels


def rgba(pixels: Pixels) -> NDArray[np.float64]:
    bands = pixels.shape[2]
    colours = np.repeat(pixels[..., :1], 3, axis=2) if bands < 3 else pixels[..., :3]
    alpha = pixels[..., -1:] if bands in (2, 4) else np.full_like(pixels[..., :1], 255)
    return np.concatenate([colours, alpha], axis=2).astype(float)


def laid(base: Pixels, mark: Pixels, layer: Layer) -> NDArray[np.float64]:
    result, over = rgba(base), rgba(mark)
    for y, x in np.ndindex(base.shape[:2]):
        row, column = y - layer.top, x - layer.left
        row = row % len(mark) if layer.repetition in DOWN else row
        column = column % len(mark[0]) if layer.repetition in ACROSS else column
        if 0 <= row < len(mark) and 0 <= column < len(mark[0]):
            above, below = (
                over[row, column, 3] / 255,
                result[y, x, 3] / 255 * (1 - over[row, column, 3] / 255),
            )
            if above + below:
                mixed = over[row, column, :3] * above + result[y, x, :3] * below
                result[y, x] = [*mixed / (above + below), (above + below) * 255]
    return result


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    st.integers(-25, 25),
    st.integers(-25, 25),
    st.sampled_from(Repetition),
    st.integers(0, 99),
)
def test_blended_where_it_lies(
    base: tuple[int, int, int],
    mark: tuple[int, int, int],
    left: int,
    top: int,
    repetition: Repetition,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    below, above = (random.integers(0, 256, shape[::-1], dtype=np.uint8) for shape in (base, mark))
    layer = Layer("mark", left, top, repetition=repetition)
    image = watermark(image_of(below), [(image_of(above), layer)])
    assert (image.width, image.height, image.format) == (below.shape[1], below.shape[0], "uchar")
    assert image.hasalpha() == (below.shape[2] in (2, 4))
    result, expected = rgba(pixels_of(image)), laid(below, above, layer)
    seen = expected[..., 3:] / 255
    assert np.abs(result[..., 3:] - expected[..., 3:]).max() <= 1
    assert (np.abs(result - expected)[..., :3] * seen).max() <= 1.01


def test_what_is_beside_it_stays_exactly() -> None:
    below = np.random.default_rng(3).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    result = pixels_of(
        watermark(image_of(below), [(filled(8, 6, 9, 9, 9, 200), Layer("mark", 20, 10))])
    )
    result[10:16, 20:28] = below[10:16, 20:28]
    assert np.array_equal(result, below)


def test_later_layers_lie_above() -> None:
    red, blue = filled(10, 10, 255, 0, 0), filled(10, 10, 0, 0, 255)
    result = pixels_of(
        watermark(filled(20, 10, 0, 0, 0), [(red, Layer("red")), (blue, Layer("blue", 5))])
    )
    assert result[5, [2, 7, 17]].tolist() == [[255, 0, 0], [0, 0, 255], [0, 0, 0]]


@pytest.mark.parametrize(
    ("mark", "bands"), [((200,), 1), ((200, 128), 1), ((200, 0, 0), 3), ((200, 0, 0, 128), 3)]
)
def test_gray_becomes_colour_where_colour_is_laid(mark: tuple[int, ...], bands: int) -> None:
    image = watermark(filled(20, 20, 100), [(filled(4, 4, *mark), Layer("mark", 3, 3))])
    assert (image.bands, image.interpretation) == (bands, "b-w" if bands == 1 else "srgb")
    assert set(pixels_of(image)[15, 15]) == {100}


def test_a_tiny_tile_repeated_over_a_large_picture() -> None:
    tile = np.zeros((2, 2, 4), np.uint8)
    tile[0, 0] = (255, 0, 0, 128)
    image = Image.black(4096, 3072, bands=3).copy(interpretation="srgb")
    result = watermark(image, [(image_of(tile), Layer("dot", 7, 7, repetition=Repetition.REPEAT))])
    red = result[0].numpy()
    assert set(red[1::2, 1::2].ravel()) == {128}
    assert red.mean() == 32


def test_a_frame_of_an_animation_makes_no_frames() -> None:
    frame = filled(10, 10, 255, 0, 0).copy()
    frame.set_type(GValue.gint_type, "page-height", 10)
    assert watermark(filled(20, 40, 0, 0, 0), [(frame, Layer("frame"))]).get_page_height() == 40
