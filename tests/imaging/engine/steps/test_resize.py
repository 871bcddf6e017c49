import numpy as np
import pytest
from PIL import Image

from app.imaging.engine import vips
from app.imaging.engine.steps.resize import reframe, resize
from app.imaging.engine.vips import from_bytes
from app.imaging.operations import Fit, Position, Resize
from tests.imaging.samples import corners, noise


def test_exact_size() -> None:
    image = from_bytes(bytes(101 * 57 * 3), 101, 57, 3)
    small = resize(image, 33, 19)
    assert (small.width, small.height, small.format) == (33, 19, "uchar")
    assert resize(image, 101, 57) is image


def test_colour_under_transparency_does_not_bleed() -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :20] = (255, 0, 0, 255)
    pixels[:, 20:] = (0, 255, 0, 0)  # green that nobody sees
    small = resize(from_bytes(pixels.tobytes(), 40, 40, 4), 13, 13).numpy()
    visible = small[small[..., 3] > 20]
    assert visible[:, 0].min() > 240
    assert visible[:, 1].max() < 10


def test_wide_samples_stay_wide() -> None:
    pixels = np.full((40, 40, 4), 50_000, np.uint16)
    small = resize(from_bytes(pixels.tobytes(), 40, 40, 4, wide=True), 10, 10)
    assert small.format == "ushort"
    assert abs(int(small.numpy()[5, 5, 0]) - 50_000) < 20


@pytest.mark.parametrize("size", [(160, 96), (200, 100), (330, 48), (81, 49), (120, 20)])
def test_enlarging_is_bicubic_and_in_place(size: tuple[int, int]) -> None:
    """As Pillow has it, which neither moves the picture nor loses its edges; one side may shrink
    meanwhile."""
    picture = noise(80, 48)
    large = resize(from_bytes(picture.tobytes(), 80, 48, 3), *size).numpy().astype(int)
    down = picture.resize((80, min(48, size[1])), Image.Resampling.LANCZOS)
    expected = np.asarray(down.resize(size, Image.Resampling.BICUBIC), int)
    assert np.abs(large - expected).max() <= 3


def test_transparency_neither_darkens_nor_drifts() -> None:
    """A truncated fraction would take a level off each time."""
    image = from_bytes(np.full((40, 40, 4), (120, 121, 122, 123), np.uint8).tobytes(), 40, 40, 4)
    for width in (37, 80, 21, 40):
        image = resize(image, width, width)
    assert np.unique(image.numpy().reshape(-1, 4), axis=0).tolist() == [[120, 121, 122, 123]]


def plain() -> tuple[np.ndarray, vips.Image]:
    pixels = np.asarray(corners())
    return pixels, from_bytes(pixels.tobytes(), 80, 48, 3)


@pytest.mark.parametrize(
    ("position", "x", "y"),
    [
        (Position.CENTER, 1, 1),
        (Position.TOP, 1, 0),
        (Position.RIGHT, 2, 1),
        (Position.BOTTOM, 1, 2),
        (Position.LEFT, 0, 1),
        (Position.TOP_LEFT, 0, 0),
        (Position.TOP_RIGHT, 2, 0),
        (Position.BOTTOM_LEFT, 0, 2),
        (Position.BOTTOM_RIGHT, 2, 2),
    ],
)
def test_positions(position: Position, x: int, y: int) -> None:
    """``x`` and ``y`` in halves of what is free."""
    pixels, image = plain()
    bars = reframe(image, Resize(100, 48, Fit.CONTAIN, position, (1, 2, 3, 255))).numpy()
    expected = np.full((48, 100, 3), (1, 2, 3))
    expected[:, x * 10 : x * 10 + 80] = pixels
    assert (bars == expected).all()
    bars = reframe(image, Resize(80, 60, Fit.CONTAIN, position, (1, 2, 3, 255))).numpy()
    assert (bars[y * 6 : y * 6 + 48] == pixels).all()
    assert (
        len(np.unique(np.delete(bars, np.s_[y * 6 : y * 6 + 48], axis=0).reshape(-1, 3), axis=0))
        == 1
    )
    cut = reframe(image, Resize(40, 48, Fit.COVER, position)).numpy()
    assert (cut == pixels[:, x * 20 : x * 20 + 40]).all()
    cut = reframe(image, Resize(80, 20, Fit.COVER, position)).numpy()
    assert (cut == pixels[y * 14 : y * 14 + 20]).all()


def test_bars_of_any_colour_beside_any_picture() -> None:
    gray = from_bytes(bytes([90] * 100), 10, 10, 1)
    red = reframe(gray, Resize(20, 10, Fit.CONTAIN, Position.LEFT, (255, 0, 0, 255))).numpy()
    assert red[0, 19].tolist() == [255, 0, 0]
    assert red[0, 0].tolist() == [90, 90, 90]
    still_gray = reframe(gray, Resize(20, 10, Fit.CONTAIN, Position.LEFT, (7, 7, 7, 255)))
    assert (still_gray.bands, still_gray.numpy()[0, 19], still_gray.numpy()[0, 0]) == (1, 7, 90)
    veiled = reframe(gray, Resize(20, 10, Fit.CONTAIN, Position.LEFT, (0, 0, 255, 128))).numpy()
    assert veiled[0, 19].tolist() == [0, 0, 255, 128]
    assert veiled[0, 0].tolist() == [90, 90, 90, 255]
    clear = from_bytes(bytes([1, 2, 3, 0] * 100), 10, 10, 4)
    barred = reframe(clear, Resize(20, 10, Fit.CONTAIN, Position.LEFT)).numpy()
    assert barred[0, 19].tolist() == [0, 0, 0, 255]
    assert barred[0, 0, 3] == 0
