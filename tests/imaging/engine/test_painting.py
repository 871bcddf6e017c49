"""The local painter's pictures, as a test key gets them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.imaging.engine.painting import paint
from app.imaging.formats import Format
from app.imaging.transform import Painting, Picture
from tests.imaging.samples import opened


def painted(
    folder: Path, prompt: str = "hills", seed: int = 1, *, without: str = "", side: int = 96
) -> bytes:
    paint(folder / "painting", Painting(prompt, without, seed, side))
    return (folder / "painting").read_bytes()


def words(content: bytes) -> np.ndarray:
    """Where letters are: the gradient is darker than these."""
    return np.asarray(opened(content)).min(axis=2) > 200


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


def test_the_prompt_s_words_are_on_it(tmp_path: Path) -> None:
    short = words(painted(tmp_path, "ox", side=512))
    other = words(painted(tmp_path, "il", side=512))
    long = words(painted(tmp_path, "an ox in a meadow " * 10, side=512))
    assert 0 < short.sum() < long.sum()
    assert (short != other).any()
    assert long.any(axis=1).sum() > 3 * short.any(axis=1).sum(), "it should be wrapped"


@pytest.mark.parametrize("prompt", ["word " * 200, "w" * 1000, "W" * 5000])
def test_what_is_too_long_is_wrapped_and_cut(tmp_path: Path, prompt: str) -> None:
    there = words(painted(tmp_path, prompt, side=512))
    margin = 512 // 20
    assert there.any()
    for edge in (there[:margin], there[-margin:], there[:, :margin], there[:, -margin:]):
        assert not edge.any()


@pytest.mark.parametrize(
    "prompt",
    ["", " ", "\0\a\n\u2028", "雪山", "<b>&amp;</i> &", "שלום ש", "🎨", "👩‍🎨",
     "\ud800", "\u2800\u3164", "e\u0301\u0301", "\U0010ffff\ufffe"],
)  # fmt: skip
@pytest.mark.parametrize("side", [1, 96])
def test_any_words_will_do(tmp_path: Path, prompt: str, side: int) -> None:
    content = painted(tmp_path, prompt, 0, without=prompt, side=side)
    assert opened(content).size == (side, side)
    assert painted(tmp_path, prompt, 0, without=prompt, side=side) == content
