"""What a test key's pictures show, on whatever there was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.imaging.steps.stamp import stamp
from app.imaging.vips import Image, from_bytes
from tests.imaging.samples import noise

Pixels = NDArray[np.uint8]
# What nobody overlooks, in levels of 255.
VISIBLE = 40


def image_of(pixels: Pixels) -> Image:
    height, width, bands = pixels.shape
    return from_bytes(np.ascontiguousarray(pixels).tobytes(), width, height, bands)


def filled(width: int, height: int, *pixel: int) -> Pixels:
    return np.full((height, width, len(pixel)), pixel, np.uint8)


def changed(pixels: Pixels) -> NDArray[np.bool_]:
    """Where the stamped picture looks different, on a background of any kind."""
    image = stamp(image_of(pixels))
    assert (image.height, image.width, image.bands, image.format) == (*pixels.shape, "uchar")
    assert image.interpretation == ("b-w" if pixels.shape[2] < 3 else "srgb")
    stamped = image.numpy().reshape(pixels.shape).astype(int)
    visible: NDArray[np.bool_] = (np.abs(stamped - pixels) > VISIBLE).any(axis=2)
    return visible


@pytest.mark.parametrize(
    "pixel",
    [(255, 255, 255), (0, 0, 0), (128, 128, 128), (230, 30, 60), (0,), (255,), (128,), (0, 0), (255, 0, 0, 128),
     (0, 0, 0, 0), (255, 255, 255, 0)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (16, 16), (24, 24), (48, 48), (700, 30), (320, 240)])
def test_it_shows_on_any_colour_in_any_size(pixel: tuple[int, ...], width: int, height: int) -> None:
    assert changed(filled(width, height, *pixel)).mean() > 0.05


def test_no_part_of_a_photo_is_left_out() -> None:
    marked = changed(np.asarray(noise(1024, 768)))
    assert 0.05 < marked.mean() < 0.5
    windows = marked.reshape(12, 64, 16, 64).any(axis=(1, 3))
    assert windows.all()


def test_transparent_parts_become_visible() -> None:
    alpha = stamp(image_of(filled(200, 150, 0, 0, 0, 0)))[3].numpy()
    assert 0.05 < (alpha > 100).mean() < 0.5
    assert (alpha == 0).mean() > 0.5


def test_beside_the_mark_the_picture_stays() -> None:
    photo = np.asarray(noise(320, 240))
    stamped = stamp(image_of(photo)).numpy()
    assert (stamped == photo).all(axis=2).mean() > 0.5


def test_twice_is_as_once_but_stronger() -> None:
    photo = np.asarray(noise(320, 240))
    once = stamp(image_of(photo))
    twice = stamp(once).numpy().astype(int)
    assert ((twice != photo).any(axis=2) == (once.numpy() != photo).any(axis=2)).mean() > 0.99
    assert np.array_equal(once.numpy(), stamp(image_of(photo)).numpy())


def test_the_words_grow_with_the_picture() -> None:
    """A row of pixels goes through as many strokes, whatever the size."""
    marked = [changed(filled(width, width, 255)) for width in (300, 1200)]
    strokes = [(here[:, 1:] & ~here[:, :-1]).sum() / len(here) for here in marked]
    assert strokes[1] == pytest.approx(strokes[0], rel=0.25)
