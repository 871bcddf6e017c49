import numpy as np

from app.imaging.steps.resize import resize
from app.imaging.vips import from_bytes


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
