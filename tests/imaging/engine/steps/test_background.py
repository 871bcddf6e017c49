"""Backgrounds removed, by the real network where it is there."""

from pathlib import Path

import numpy as np
import pytest

from app.errors import NotConfigured
from app.imaging import (
    Derivation,
    Format,
    ImageTooLarge,
    ImagingPool,
    Limits,
    Transform,
    model_files,
)
from app.imaging.engine.steps.background import remove_background
from app.imaging.engine.vips import Image, from_bytes
from app.imaging.model_files import missing_for_background
from app.imaging.operations import RemoveBackground
from tests.models import U2NET, needs_models

WIDTH, HEIGHT = 400, 300


def ball(bands: int = 3) -> np.ndarray:
    """A shaded red ball of 80 pixels' radius on a light ground; ``bands`` 1 shows it in gray."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    away = np.hypot(x - 200, y - 150)
    shade = np.clip(1.2 - np.hypot(x - 170, y - 120) / 160, 0.2, 1)
    picture = np.where((away < 80)[..., None], shade[..., None] * (210, 40, 30), (225, 230, 235))
    return np.rint(picture[..., :bands]).astype(np.uint8)


def fish() -> np.ndarray:
    """An orange fish with a purple tail, of 14 % of the picture, between blue and green."""
    y, x = np.mgrid[0:340, 0:400]
    picture = np.where(y[..., None] < 180, (90, 140, 220), (60, 120, 40)) + y[..., None] / 8
    picture[((x - 170) / 90) ** 2 + ((y - 160) / 50) ** 2 < 1] = (230, 150, 20)
    picture[(x > 250) & (x < 320) & (abs(y - 160) < (x - 245) * 0.6)] = (200, 60, 160)
    picture[(x - 115) ** 2 + (y - 145) ** 2 < 60] = (10, 10, 10)
    return np.rint(picture).astype(np.uint8)


def image_of(pixels: np.ndarray) -> Image:
    height, width, bands = pixels.shape
    return from_bytes(pixels.tobytes(), width, height, bands)


@needs_models
def test_the_subject_stays_and_its_background_becomes_transparent() -> None:
    removed = remove_background(image_of(ball()), str(U2NET))
    pixels = removed.numpy()
    assert (removed.interpretation, removed.format, pixels.shape) == (
        "srgb",
        "uchar",
        (HEIGHT, WIDTH, 4),
    )
    assert (pixels[..., :3] == ball()).all()
    alpha = pixels[..., 3]
    assert alpha[110:190, 160:240].min() > 250
    assert max(alpha[:40].max(), alpha[-40:].max(), alpha[:, :80].max(), alpha[:, -80:].max()) < 5
    # Where the mask stands: as much is left of the ball's middle as right of it, and above as
    # below.
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    assert (alpha * x).sum() / alpha.sum() == pytest.approx(200, abs=1.5)
    assert (alpha * y).sum() / alpha.sum() == pytest.approx(150, abs=1.5)


@needs_models
def test_the_network_sees_the_colours_that_it_was_trained_on() -> None:
    """As much is kept as rembg 2.0.86 keeps; with red and blue exchanged it would be a fifth
    less."""
    alpha = remove_background(image_of(fish()), str(U2NET)).numpy()[..., 3]
    assert alpha.mean() == pytest.approx(32.48, abs=0.5)


@needs_models
def test_what_was_transparent_stays_transparent() -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, 200:] = 100
    alpha[:150] = 0
    pixels = remove_background(image_of(np.dstack([ball(), alpha])), str(U2NET)).numpy()
    assert (pixels[..., :3] == ball()).all()
    assert pixels[:150, :, 3].max() == 0
    assert pixels[170:200, 210:230, 3].max() <= 100
    assert pixels[170:200, 170:190, 3].min() > 200


@needs_models
@pytest.mark.parametrize("bands", [1, 2])
def test_a_gray_picture_becomes_rgba(bands: int) -> None:
    gray = ball(1)
    pixels = np.dstack([gray, np.full_like(gray, 255)])[..., :bands]
    removed = remove_background(image_of(pixels), str(U2NET)).numpy()
    assert (removed[..., :3] == gray).all()
    assert removed[150, 200, 3] > 250
    assert removed[5, 5, 3] < 5


@needs_models
@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_of_nothing_is_no_error(value: int) -> None:
    blank = np.full((HEIGHT, WIDTH, 3), value, np.uint8)
    assert remove_background(image_of(blank), str(U2NET)).numpy().shape == (HEIGHT, WIDTH, 4)


@needs_models
def test_a_file_that_is_no_network_is_the_servers_fault(tmp_path: Path) -> None:
    path = tmp_path / "u2net.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(NotConfigured, match="cannot be used"):
        remove_background(image_of(ball()), str(path))


@needs_models
def test_a_child_removes_backgrounds_in_a_fraction_of_the_default_memory(tmp_path: Path) -> None:
    image_of(ball()).write_to_file(str(tmp_path / "ball.jpg"))
    wanted = Transform(Format.PNG, quality=100, operations=(RemoveBackground(str(U2NET)),))
    pool = ImagingPool(1, Limits(memory_bytes=800 * 2**20, cpu_seconds=60, wall_seconds=90))
    try:
        for number in range(2):
            derivation = Derivation(wanted, tmp_path / f"{number}.webp")
            derived = pool.derive(
                tmp_path / "ball.jpg", tmp_path / f"{number}.png", derivation, "acme"
            ).result()
            assert (derived.picture.format, derived.picture.width) == (Format.PNG, WIDTH)
    finally:
        pool.close()
    alpha = Image.new_from_file(str(tmp_path / "1.png")).numpy()[..., 3]
    assert alpha[150, 200] > 250
    assert alpha[5, 5] < 5


@needs_models
def test_too_little_memory_for_the_network_is_told_as_such(tmp_path: Path) -> None:
    image_of(ball()).write_to_file(str(tmp_path / "ball.jpg"))
    wanted = Transform(Format.PNG, operations=(RemoveBackground(str(U2NET)),))
    pool = ImagingPool(1, Limits(memory_bytes=250 * 2**20))
    try:
        with pytest.raises(ImageTooLarge):
            pool.submit(tmp_path / "ball.jpg", tmp_path / "out.png", wanted, "acme").result()
    finally:
        pool.close()


def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "u2net.onnx"
    monkeypatch.setattr(model_files, "find_spec", lambda _name: None)
    assert "no onnxruntime" in str(missing_for_background(weights))
    monkeypatch.setattr(model_files, "find_spec", lambda _name: object())
    assert "no u2net.onnx" in str(missing_for_background(weights))
    assert "./run models" in str(missing_for_background(weights))
    weights.write_bytes(b"weights")
    assert missing_for_background(weights) is None


def test_without_the_network_the_step_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"\./run models"):
        remove_background(image_of(ball()), str(tmp_path / "none.onnx"))
