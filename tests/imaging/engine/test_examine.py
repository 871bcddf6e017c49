"""What is told of an original, and its thumbnail. Videos have ``test_videos``."""

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from app.imaging import Format, ImageTooLarge, Limits, UnreadableImage, UnsupportedImage
from tests.imaging.samples import (
    QUARTERS,
    RED,
    animated,
    animation,
    colours_at_quarters,
    corners,
    display_p3,
    dng,
    encoded,
    examined,
    frames_of,
    is_near,
    noise,
    oriented,
    pixel,
    stored_as,
)


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("HEIF", "image/heic"),
        ("AVIF", "image/avif"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
    ],
)
def test_every_kind(tmp_path: Path, kind: str, mime: str) -> None:
    pillow_heif.register_heif_opener()
    original, thumbnail = examined(tmp_path, encoded(corners(1000, 600), kind))
    assert (original.mime, original.kind, original.is_video) == (mime, kind.lower(), False)
    assert (original.width, original.height, original.frames, original.duration_ms) == (
        1000,
        600,
        1,
        None,
    )
    assert (original.thumbnail.format, original.thumbnail.frames) == (Format.WEBP, 1)
    assert thumbnail.size == (480, 288)
    for shown, wanted in zip(colours_at_quarters(thumbnail), QUARTERS, strict=True):
        assert is_near(shown, wanted), (shown, wanted)


@pytest.mark.parametrize("orientation", [1, 8])
def test_raw(tmp_path: Path, orientation: int) -> None:
    original, thumbnail = examined(tmp_path, dng(800, 600, orientation))
    assert (original.mime, original.kind) == ("image/x-raw", "raw")
    upright = (800, 600) if orientation == 1 else (600, 800)
    assert (original.width, original.height) == upright
    assert max(thumbnail.size) in range(380, 481)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_and_thumbnails_are_upright(tmp_path: Path, orientation: int) -> None:
    content = encoded(
        stored_as(orientation, corners(1600, 960)), "JPEG", exif=oriented(orientation)
    )
    original, thumbnail = examined(tmp_path, content)
    assert (original.width, original.height, thumbnail.size) == (1600, 960, (480, 288))
    for shown, wanted in zip(colours_at_quarters(thumbnail), QUARTERS, strict=True):
        assert is_near(shown, wanted)


def test_a_small_picture_stays_small(tmp_path: Path) -> None:
    original, thumbnail = examined(tmp_path, encoded(corners(), "PNG"))
    assert (original.width, original.height) == thumbnail.size == (80, 48)


def test_a_ribbon_keeps_a_pixel(tmp_path: Path) -> None:
    assert examined(tmp_path, encoded(corners(9000, 4), "PNG"))[1].size == (480, 1)


def test_a_thumbnail_is_srgb_without_metadata(tmp_path: Path) -> None:
    swatch = Image.new("RGB", (640, 640), (200, 100, 50))
    _, thumbnail = examined(
        tmp_path, encoded(swatch, "JPEG", icc_profile=display_p3(), exif=oriented(1))
    )
    assert is_near(pixel(thumbnail.convert("RGB"), 240, 240), (216, 93, 24), 8)
    assert not thumbnail.getexif()
    assert "icc_profile" not in thumbnail.info
    assert b"SECRET" not in (tmp_path / "target").read_bytes()


def test_transparency_stays(tmp_path: Path) -> None:
    clear = corners(960, 576).convert("RGBA")
    clear.paste((0, 0, 0, 0), (480, 288, 960, 576))
    _, thumbnail = examined(tmp_path, encoded(clear, "PNG"))
    assert pixel(thumbnail.convert("RGBA"), 360, 216)[3] == 0
    assert pixel(thumbnail.convert("RGBA"), 100, 60)[3] == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_is_counted_and_shows_its_first_frame(tmp_path: Path, kind: str) -> None:
    original, thumbnail = examined(tmp_path, animated(kind, animation(), duration=50))
    assert (original.frames, original.width, original.height) == (3, 64, 40)
    assert (original.thumbnail.frames, frames_of(thumbnail)) == (1, 1)
    assert is_near(pixel(thumbnail.convert("RGB"), 30, 20), RED)


def test_an_animation_is_read_to_its_last_frame(tmp_path: Path) -> None:
    content = animated("WEBP", animation(), duration=50)
    start_code = content.rindex(b"\x9d\x01\x2a")
    with pytest.raises(UnreadableImage):
        examined(tmp_path, content[:start_code] + bytes(3) + content[start_code + 3 :])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(noise(800, 608), kind)
    with pytest.raises(UnreadableImage) as refusal:
        examined(tmp_path, content[: int(len(content) * share)])
    assert refusal.value.status == 422
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "This is a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is an SVG drawing"),
        (b"%PDF-1.7\n", "This is a PDF document"),
        (b"PK\x03\x04" + bytes(64), "This is a ZIP archive"),
        (b"just some text", "no image or video of a supported format; .*MP4"),
    ],
)
def test_anything_else_is_unsupported_as_image_and_as_video(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(UnsupportedImage, match=said):
        examined(tmp_path, content)
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage):
        examined(tmp_path, b"")


@pytest.mark.parametrize(
    ("limits", "content"),
    [
        (Limits(max_side=79), encoded(corners(), "PNG")),
        (Limits(max_pixels=80 * 48 - 1), encoded(corners(), "WEBP")),
        (Limits(max_frames=2), animated("GIF", animation(), duration=50)),
        (Limits(max_pixels=64 * 40 * 2), animated("WEBP", animation(), duration=50)),
        (Limits(max_scans=2), encoded(noise(), "JPEG", progressive=True)),
        (Limits(max_pixels=799 * 600), dng(800, 600)),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, content: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        examined(tmp_path, content, limits)


def test_a_flaw_that_touches_no_pixel_is_let_be(tmp_path: Path) -> None:
    content = encoded(noise(), "JPEG")
    original, _ = examined(tmp_path, content[:-2] + b"\0\0\0\0" + content[-2:] + b"trailer")
    assert original.width == 256


def test_it_looks_like_the_original(tmp_path: Path) -> None:
    _, thumbnail = examined(tmp_path, encoded(noise(480, 360), "PNG"))
    error = np.abs(np.asarray(thumbnail.convert("RGB"), int) - np.asarray(noise(480, 360), int))
    assert error.mean() < 5
