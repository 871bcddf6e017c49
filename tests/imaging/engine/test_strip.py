"""Never more bytes than were given, where neither size nor format was to change."""

from pathlib import Path

import numpy as np
import pytest

from app.imaging import Format, Transform
from app.imaging.engine.containers import jpeg
from tests.imaging.samples import (
    animated,
    animation,
    converted,
    corners,
    display_p3,
    encoded,
    frames_of,
    noise,
    opened,
    oriented,
    srgb_profile,
)

TINY_GIF = bytes.fromhex("47494638376101000100800000ffffff0000002c00000000010001000002024401003b")


def low(kind: str) -> bytes:
    """Encoded so small that encoding it again at quality 100 can only make it larger."""
    options = {"JPEG": {"quality": 15}, "WEBP": {"quality": 5}, "AVIF": {"quality": 10}}.get(
        kind, {}
    )
    return (
        encoded(noise(), kind, exif=oriented(1), **options)
        if kind != "GIF"
        else encoded(noise(), kind)
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("quality", [30, 80, 100])
def test_never_larger(tmp_path: Path, kind: str, quality: int) -> None:
    for content in (low(kind), encoded(corners(), kind), encoded(corners(1, 1), kind)):
        picture, result = converted(tmp_path, content, Transform(quality=quality))
        assert picture.size == len(result) <= len(content)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_the_kept_original_has_its_own_pixels_and_no_metadata(tmp_path: Path, kind: str) -> None:
    content = low(kind)
    picture, result = converted(tmp_path, content, Transform(quality=100))
    assert picture.kept_original
    assert b"SECRET" in content
    assert b"SECRET" not in result
    assert opened(result).tobytes() == opened(content).tobytes()


def test_the_smallest_gif(tmp_path: Path) -> None:
    picture, result = converted(tmp_path, TINY_GIF)
    assert picture.kept_original
    assert len(result) <= len(TINY_GIF)
    assert opened(result).size == (1, 1)


def test_a_kept_jpeg_keeps_its_orientation_and_its_colours(tmp_path: Path) -> None:
    _, once = converted(tmp_path, encoded(noise(), "JPEG", quality=95))
    content = (
        jpeg.strip(once, orientation=6, profile=display_p3())[:-2]
        + b"\xff\xfe\x00\x08SECRET\xff\xd9"
    )
    picture, result = converted(tmp_path, content)
    assert picture.kept_original
    assert b"SECRET" not in result
    assert dict(opened(result).getexif()) == {274: 6}
    assert opened(result).info["icc_profile"] == display_p3()
    assert opened(result).tobytes() == opened(content).tobytes()
    assert (picture.width, picture.height) == (192, 256)


def test_a_kept_webp_loses_a_profile_that_says_srgb(tmp_path: Path) -> None:
    content = encoded(noise(), "WEBP", quality=5, icc_profile=srgb_profile(), exif=oriented(8))
    picture, result = converted(tmp_path, content, Transform(quality=100))
    assert picture.kept_original
    assert "icc_profile" not in opened(result).info
    assert dict(opened(result).getexif()) == {274: 8}
    assert (picture.width, picture.height) == (192, 256)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_a_kept_animation_still_moves(tmp_path: Path, kind: str) -> None:
    options = {"quality": 1, "method": 6} if kind == "WEBP" else {}
    content = animated(kind, animation(), duration=[50, 70, 90], loop=3, **options)
    picture, result = converted(tmp_path, content, Transform(quality=100))
    assert (picture.frames, frames_of(opened(result)), opened(result).info["loop"]) == (3, 3, 3)
    assert len(result) <= len(content)


def test_a_jpeg_is_not_encoded_above_its_own_quality(tmp_path: Path) -> None:
    content = encoded(noise(), "JPEG", quality=40)
    assert converted(tmp_path, content, Transform(quality=95))[0].size < len(content)


def test_compressing_twice_costs_the_pixels_once(tmp_path: Path) -> None:
    _, once = converted(tmp_path, encoded(noise(), "JPEG", quality=95))
    picture, twice = converted(tmp_path, once)
    assert picture.kept_original
    assert np.array_equal(np.asarray(opened(once)), np.asarray(opened(twice)))


def test_another_size_or_format_may_be_larger(tmp_path: Path) -> None:
    picture, _ = converted(tmp_path, TINY_GIF, Transform(Format.PNG))
    assert not picture.kept_original
