"""Against CIE LCh in doubles: IEC 61966-2-1 to XYZ, CIE 15 to L*a*b*, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.imaging.engine.steps.modulate import modulate
from app.imaging.engine.vips import Image, from_bytes

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
D65 = TO_XYZ.sum(axis=1)
Plane = NDArray[np.float64]


def row(colours: NDArray[np.uint8]) -> Image:
    return from_bytes(np.ascontiguousarray(colours).tobytes(), len(colours), 1, colours.shape[1])


def some_colours() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (4000, 3), dtype=np.uint8)


def to_lab(colours: NDArray[np.uint8]) -> Plane:
    value = colours / 255
    light = (
        np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) @ TO_XYZ.T / D65
    )
    root = np.where(light > 216 / 24389, np.cbrt(light), (24389 / 27 * light + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def to_srgb(lab: Plane) -> Plane:
    y = (lab[:, 0] + 16) / 116
    root = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    light = (
        np.where(root > 6 / 29, root**3, (116 * root - 16) * 27 / 24389)
        * D65
        @ np.linalg.inv(TO_XYZ).T
    )
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def expected(
    colours: NDArray[np.uint8], brightness: float, saturation: float, hue: int, lightness: float
) -> Plane:
    light, a, b = to_lab(colours).T
    turned = saturation * (a + 1j * b) * np.exp(1j * np.radians(hue))
    return to_srgb(np.stack([light * brightness + lightness, turned.real, turned.imag], axis=1))


@pytest.mark.parametrize(
    ("brightness", "saturation", "hue", "lightness"),
    [(1.3, 1, 0, 0), (0.7, 1, 0, 0), (1, 1.6, 0, 0), (1, 0.4, 0, 0), (1, 1, 120, 0), (1, 1, -75, 0),
     (1, 1, 0, 12),
     (0.8, 0.5, 400, -5)],
)  # fmt: skip
def test_cie_lch(brightness: float, saturation: float, hue: int, lightness: float) -> None:
    colours = some_colours()
    # Darker ones may come out with less lightness than any colour has.
    colours = colours[to_lab(colours)[:, 0] > 10]
    off = np.abs(
        modulate(row(colours), brightness, saturation, hue, lightness).numpy()[0]
        - expected(colours, brightness, saturation, hue, lightness)
    )
    assert off.mean() < 0.5
    assert off.max() < 2


@pytest.mark.parametrize("hue", [0, 360, -720])
def test_nothing_asked_nothing_done(hue: int) -> None:
    colours = some_colours()
    assert np.array_equal(modulate(row(colours), 1, 1, hue, 0).numpy()[0], colours)


def test_no_saturation_is_neutral() -> None:
    grays = modulate(row(some_colours()), 1, 0, 0, 0).numpy()[0].astype(int)
    assert np.ptp(grays, axis=1).max() <= 1
    assert np.ptp(grays) > 200


@pytest.mark.parametrize(
    ("brightness", "lightness", "level"), [(0, 0, 0), (1e6, 0, 255), (1, -1e6, 0), (1, 1e6, 255)]
)
def test_black_and_white_have_no_colour(brightness: float, lightness: float, level: int) -> None:
    colours = some_colours().clip(1)
    assert set(np.unique(modulate(row(colours), brightness, 1, 0, lightness).numpy())) == {level}


def test_grays_have_no_colour_that_could_be_raised_or_turned() -> None:
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.array_equal(modulate(row(grays), 1, 1e6, 90, 0).numpy()[0], grays)


def test_more_saturation_than_there_is_wraps_nothing() -> None:
    colours = some_colours()
    colours = colours[(np.ptp(colours.astype(int), axis=1) > 40) & (to_lab(colours)[:, 0] > 30)]
    vivid = modulate(row(colours), 1, 1e6, 0, 0).numpy()[0]
    assert set(vivid.min(axis=1)) == {0}
    assert vivid.max(axis=1).min() > 100


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6))
def test_gray_stays_gray_and_alpha_stays(
    brightness: float, saturation: float, hue: int, lightness: float
) -> None:
    levels = np.arange(256, dtype=np.uint8)
    gray = modulate(
        row(np.stack([levels, levels[::-1]], axis=1)), brightness, saturation, hue, lightness
    )
    assert (gray.bands, gray.interpretation, gray.format) == (2, "b-w", "uchar")
    shown = gray.numpy()[0]
    assert np.array_equal(shown[:, 1], levels[::-1])
    assert (np.diff(shown[:, 0].astype(int)) >= 0).all()
    coloured = modulate(
        row(np.stack([levels] * 4, axis=1)), brightness, saturation, hue, lightness
    ).numpy()[0]
    assert np.array_equal(coloured[:, 3], levels)
    assert np.abs(coloured[:, 1].astype(int) - shown[:, 0]).max() <= 1
