"""The local painter's pictures, as a test key gets them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.imaging.formats import Format
from app.imaging.painting import paint
from app.imaging.transform import Painting, Picture
from tests.imaging.samples import opened


def painted(
    folder: Path, prompt: str = "hills", seed: int = 1, *, without: str = "", side: int = 96
) -> bytes:
    paint(folder / "painting", Painting(prompt, without, seed, side))
    return (folder / "painting").read_bytes()


def colour(content: bytes, part: slice) -> list[float]:
    """The mean red, green and blue of some of the rows."""
    return [float(value) for value in np.asarray(opened(content))[part].mean(axis=(0, 1))]


def test_a_png_of_the_size_asked_for(tmp_path: Path) -> None:
    picture = paint(tmp_path / "painting", Painting("a bridge", "", 7))
    size = (tmp_path / "painting").stat().st_size
    assert picture == Picture(
        Format.PNG, 1024, 1024, size, kept_original=False, source_format="png", frames=1
    )
    with Image.open(tmp_path / "painting") as read:
        assert (read.format, read.mode, read.size) == ("PNG", "RGB", (1024, 1024))


def test_the_same_words_and_seed_make_the_same_bytes(tmp_path: Path) -> None:
    first = painted(tmp_path, "a red car", 2**63)
    assert painted(tmp_path, "a red car", 2**63) == first
    others = [
        painted(tmp_path, "a red car", 1),
        painted(tmp_path, "a red bus", 2**63),
        painted(tmp_path, "a red car", 2**63, without="rain"),
    ]
    for other in others:
        assert np.abs(np.asarray(opened(other), int) - np.asarray(opened(first), int)).mean() > 3


@pytest.mark.parametrize("seed", range(4))
def test_words_choose_the_scene(tmp_path: Path, seed: int) -> None:
    """The sky is above, hills or water below."""
    sky, ground = slice(0, 20), slice(-20, None)
    night, day = (
        painted(tmp_path, prompt, seed) for prompt in ("Night, full of STARS", "a sunny day")
    )
    assert max(colour(night, ground)) < 60 < min(colour(day, sky))
    red, _, blue = colour(painted(tmp_path, "sand dunes", seed), ground)
    assert red > blue + 60
    red, _, blue = colour(painted(tmp_path, "a boat on the sea", seed), sky)
    assert blue > red + 30


@pytest.mark.parametrize("seed", range(4))
def test_a_negative_prompt_rules_a_scene_out(tmp_path: Path, seed: int) -> None:
    dark = slice(-20, None)
    assert max(colour(painted(tmp_path, "night", seed), dark)) < 60
    assert max(colour(painted(tmp_path, "night in the desert", seed, without="dark"), dark)) > 90


def test_any_words_will_do(tmp_path: Path) -> None:
    every = "day dawn dusk night sea forest snow desert autumn dream"
    for prompt, without in (("", ""), ("雪山\0", every), (every, every)):
        assert opened(painted(tmp_path, prompt, 0, without=without)).size == (96, 96)
