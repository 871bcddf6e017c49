import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from app.imaging.engine.encode import png
from app.imaging.engine.vips import Image, from_bytes
from tests.imaging.samples import corners, noise, opened


def picture(source: Pillow.Image) -> Image:
    return from_bytes(source.tobytes(), *source.size, len(source.mode))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_lossless_at_100(mode: str) -> None:
    source = noise().convert(mode)
    if "A" in mode:
        source.putalpha(noise(seed=2).convert("L"))
    assert opened(png.encode(picture(source), 100)).convert(mode).tobytes() == source.tobytes()


def test_gray_is_lossless_at_any_quality() -> None:
    source = noise().convert("L")
    assert opened(png.encode(picture(source), 30)).convert("L").tobytes() == source.tobytes()


def test_a_palette_where_it_looks_the_same() -> None:
    gray = noise().convert("L")
    source = ImageOps.colorize(gray, "navy", "orange")
    source.paste(ImageOps.colorize(gray, "black", "lime"), (128, 0))
    source.paste(ImageOps.colorize(gray, "maroon", "white"), (0, 96))
    assert len(source.getcolors(9999) or ()) > 256
    content = png.encode(picture(source), 80)
    assert opened(content).mode == "P"
    assert len(content) < 0.8 * len(png.encode(picture(source), 100))
    assert np.abs(np.asarray(opened(content).convert("RGB"), int) - np.asarray(source)).mean() < 6


def test_no_palette_where_it_does_not() -> None:
    source = noise()
    assert opened(png.encode(picture(source), 90)).convert("RGB").tobytes() == source.tobytes()


def test_what_is_simple_is_small_and_exact() -> None:
    content = png.encode(picture(corners()), 80)
    assert len(content) < 250
    assert opened(content).convert("RGB").tobytes() == corners().tobytes()


def test_small_pictures_are_not_judged_by_a_window_that_is_larger() -> None:
    source = noise(64, 48).resize((5, 5))
    assert opened(png.encode(picture(source), 50)).convert("RGB").tobytes() == source.tobytes()


def test_transparency_survives_the_palette() -> None:
    source = noise().convert("RGBA")
    source.putalpha(Pillow.linear_gradient("L").resize(source.size))
    alpha = np.asarray(opened(png.encode(picture(source), 80)).convert("RGBA"), int)[..., 3]
    assert np.abs(alpha - np.asarray(source)[..., 3]).mean() < 8
