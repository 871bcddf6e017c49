import math

import numpy as np
import pytest

from app.imaging.engine.steps.rotate import rotate
from app.imaging.engine.vips import Image, from_bytes
from app.imaging.operations import Rotate
from tests.imaging.samples import noise

WIDTH, HEIGHT = 120, 80


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A picture that is known between its pixels too."""
    return 128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7)


def picture(*bands: int | np.ndarray) -> Image:
    """A picture of constant bands, or of waves."""
    pixels = np.stack(
        [
            np.broadcast_to(np.asarray(band).round().astype(np.uint8), (HEIGHT, WIDTH))
            for band in bands
        ],
        2,
    )
    return from_bytes(pixels.tobytes(), WIDTH, HEIGHT, len(bands))


def origin(turn: Rotate) -> tuple[np.ndarray, np.ndarray]:
    """Where in the picture each pixel of the turned one comes from, both turned about their
    middles."""
    width, height = turn.size(WIDTH, HEIGHT)
    y, x = np.mgrid[0:height, 0:width]
    across, down = x - (width - 1) / 2, y - (height - 1) / 2
    cos, sin = math.cos(math.radians(turn.degrees)), math.sin(math.radians(turn.degrees))
    return cos * across + sin * down + (WIDTH - 1) / 2, cos * down - sin * across + (HEIGHT - 1) / 2


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_only_move_pixels(quarters: int) -> None:
    pixels = np.asarray(noise())
    turned = rotate(from_bytes(pixels.tobytes(), 256, 192, 3), Rotate(quarters * 90 - 360))
    assert (turned.numpy() == np.rot90(pixels, -quarters)).all()


@pytest.mark.parametrize("degrees", [0.5, 30, 123.4, -10])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_clockwise_about_the_middle(degrees: float, bands: int) -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waved = waves(x, y)
    turn = Rotate(degrees, (10, 200, 30, 255))
    turned = (
        rotate(picture(*[waved] * min(bands, 3), *[255] * (bands == 4)), turn).numpy().astype(int)
    )
    assert turned.shape[1::-1] == turn.size(WIDTH, HEIGHT)
    x, y = origin(turn)
    inside = (x > 2) & (x < WIDTH - 3) & (y > 2) & (y < HEIGHT - 3)
    assert np.abs(turned[..., 0] - waves(x, y))[inside].max() < 2
    outside = (x < -1.6) | (x > WIDTH + 0.6) | (y < -1.6) | (y > HEIGHT + 0.6)
    assert (turned[outside][:, :3] == (10, 200, 30)).all()


def test_no_fringe_along_the_edge() -> None:
    """Neither brighter nor darker than both, and as much of the picture as there was."""
    turned = (
        rotate(picture(200, 200, 200), Rotate(33, (50, 50, 50, 255))).numpy()[..., 0].astype(int)
    )
    assert (turned.min(), turned.max()) == (50, 200)
    assert len(np.unique(turned)) > 50, "the edge goes over smoothly"
    assert (turned - 50).sum() / 150 == pytest.approx(WIDTH * HEIGHT, rel=0.001)
    assert (rotate(picture(119, 119, 119), Rotate(33, (119, 119, 119, 255))).numpy() == 119).all()


def test_transparent_corners_keep_the_colour_of_the_edge() -> None:
    turned = rotate(picture(200, 100, 50), Rotate(33, (0, 255, 0, 0))).numpy().astype(int)
    assert turned[0, 0, 3] == 0
    seen = turned[turned[..., 3] > 20]
    assert np.abs(seen[:, :3] - (200, 100, 50)).max() <= 3
    assert turned[..., 3].sum() / 255 == pytest.approx(WIDTH * HEIGHT, rel=0.001)


def test_what_was_transparent_stays_so() -> None:
    turned = rotate(picture(200, 100, 50, 0), Rotate(45, (0, 0, 255, 255))).numpy()
    assert turned[turned.shape[0] // 2, turned.shape[1] // 2, 3] == 0
    assert turned[0, 0].tolist() == [0, 0, 255, 255]


def test_a_gray_picture_has_corners_of_any_colour() -> None:
    assert rotate(picture(90), Rotate(45, (255, 0, 0, 255))).numpy()[0, 0].tolist() == [255, 0, 0]
    assert rotate(picture(90), Rotate(45)).bands == 1
