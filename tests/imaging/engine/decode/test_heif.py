from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from app.imaging import Format, Transform
from tests.imaging.samples import (
    QUARTERS,
    colours_at_quarters,
    converted,
    corners,
    display_p3,
    encoded,
    is_near,
    opened,
    pixel,
)


def heic(samples: np.ndarray, mode: str, folder: Path, **options: object) -> bytes:
    path = folder / "made.heic"
    height, width = samples.shape[:2]
    pillow_heif.encode(mode, (width, height), samples.tobytes(), path, **options)
    return path.read_bytes()


def test_ten_bits(tmp_path: Path) -> None:
    wide = np.asarray(corners(), np.uint16) * 257
    _, result = converted(
        tmp_path, heic(wide, "RGB;16", tmp_path, quality=90), Transform(Format.PNG)
    )
    for found, wanted in zip(colours_at_quarters(opened(result)), QUARTERS, strict=True):
        assert is_near(found, wanted)


def test_transparency_decides_the_format(tmp_path: Path) -> None:
    clear = np.asarray(corners().convert("RGBA")).copy()
    clear[:10, :10, 3] = 0
    picture, result = converted(tmp_path, heic(clear, "RGBA", tmp_path, quality=90))
    assert picture.format is Format.PNG
    assert pixel(opened(result).convert("RGBA"), 3, 3)[3] < 40


def test_profile(tmp_path: Path) -> None:
    swatch = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    content = heic(swatch, "RGB", tmp_path, quality=95, icc_profile=display_p3())
    _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100))
    assert is_near(pixel(opened(result).convert("RGB"), 32, 32), (216, 93, 24), 6)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_colours_that_are_premultiplied_are_divided_again(
    tmp_path: Path, premultiplied: bool
) -> None:
    half = Image.new("RGBA", (64, 48), (200, 100, 40, 128))
    options = {"quality": 100, "subsampling": "4:4:4", "alpha_premultiplied": premultiplied}
    content = encoded(half, "AVIF", **options)
    assert (b"prem" in content) == premultiplied
    _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100))
    pixels = np.asarray(opened(result).convert("RGBA"), int)
    assert np.abs(pixels - (200, 100, 40, 128)).max() <= 3
