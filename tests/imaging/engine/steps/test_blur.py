"""Against the Gaussian itself: every pixel a weighted mean of all, those outside as at the edge."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.imaging.engine.steps.blur import blur
from app.imaging.engine.vips import Image, from_bytes
from tests.imaging.samples import noise

Pixels = NDArray[np.uint8]


def image_of(pixels: Pixels) -> Image:
    height, width, bands = pixels.shape
    return from_bytes(np.ascontiguousarray(pixels).tobytes(), width, height, bands)


def weights(length: int, sigma: float) -> NDArray[np.float64]:
    """How much each pixel of a line, and what goes on beyond its ends, counts for each."""
    offsets = np.arange(-int(6 * sigma) - 2, int(6 * sigma) + 3)
    gaussian = np.exp(-(offsets**2) / (2 * sigma**2))
    found = np.zeros((length, length))
    for place in range(length):
        np.add.at(found[place], (place + offsets).clip(0, length - 1), gaussian / gaussian.sum())
    return found


def exactly(pixels: Pixels, sigma: float) -> NDArray[np.float64]:
    down, across = (weights(length, sigma) for length in pixels.shape[:2])
    blurred: NDArray[np.float64] = np.einsum(
        "yv,vuc,xu->yxc", down, pixels.astype(float), across, optimize=True
    )
    return blurred


def edges() -> Pixels:
    """Steps from black to white, and lines of a pixel along the border, which go on outside."""
    pixels = np.zeros((118, 155, 3), np.uint8)
    pixels[:, 90:] = 255
    pixels[40:43] = 255
    pixels[-1, :, 0] = 255
    pixels[:, 0, 1] = 255
    return pixels


@pytest.mark.parametrize("sigma", [0.3, 1, 3.9, 5, 20, 100, 1000])
def test_the_gaussian(sigma: float) -> None:
    photo = np.asarray(noise(192, 128))
    assert np.abs(blur(image_of(photo), sigma).numpy() - exactly(photo, sigma)).max() < 1.5
    off = np.abs(blur(image_of(edges()), sigma).numpy() - exactly(edges(), sigma))
    assert off.max() < 3
    assert off.mean() < 0.6


@pytest.mark.parametrize("sigma", [2, 30])
def test_nothing_shines_through_from_where_nothing_is_seen(sigma: float) -> None:
    pixels = np.zeros((90, 120, 4), np.uint8)
    pixels[:, :60] = (240, 60, 20, 255)
    pixels[:, 60:] = (0, 255, 0, 0)  # green that nobody sees
    blurred = blur(image_of(pixels), sigma).numpy()
    assert np.abs(blurred[..., 3] - exactly(pixels, sigma)[..., 3]).max() < 3
    visible = blurred[blurred[..., 3] > 20]
    assert np.abs(visible[:, :3].astype(int) - (240, 60, 20)).max() <= 1


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(st.integers(0, 255), min_size=1, max_size=4),
    st.floats(0.3, 1000),
)
def test_one_colour_stays_as_it_is_in_any_size(
    width: int, height: int, pixel: list[int], sigma: float
) -> None:
    pixels = np.full((height, width, len(pixel)), pixel, np.uint8)
    blurred = blur(image_of(pixels), sigma)
    assert (blurred.width, blurred.height, blurred.bands, blurred.format) == (
        width,
        height,
        len(pixel),
        "uchar",
    )
    assert blurred.interpretation == ("b-w" if len(pixel) < 3 else "srgb")
    seen = np.array(pixel) if len(pixel) % 2 or pixel[-1] else np.zeros(len(pixel))
    assert np.array_equal(
        blurred.numpy().reshape(pixels.shape), np.broadcast_to(seen, pixels.shape)
    )


@pytest.mark.parametrize("sigma", [3.9, 40])
def test_a_picture_that_streams_from_its_decoder(sigma: float, tmp_path: Path) -> None:
    photo = noise(256, 640)
    photo.save(tmp_path / "photo.png")
    streamed = blur(Image.pngload(str(tmp_path / "photo.png"), access="sequential"), sigma)
    assert np.array_equal(
        streamed.copy_memory().numpy(), blur(image_of(np.asarray(photo)), sigma).numpy()
    )
