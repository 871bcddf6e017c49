"""From file to file, judged by Pillow."""

import logging
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from app.imaging import Format, ImageTooLarge, Limits, Transform, UnreadableImage, UnsupportedImage
from tests.imaging.samples import (
    BLUE,
    GREEN,
    QUARTERS,
    RED,
    animated,
    animation,
    colours_at_quarters,
    converted,
    corners,
    display_p3,
    encoded,
    frames_of,
    is_near,
    noise,
    opened,
    oriented,
    pixel,
    stored_as,
)


@pytest.mark.parametrize("output", list(Format))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "HEIF"])
def test_any_source_to_any_format(tmp_path: Path, kind: str, output: Format) -> None:
    pillow_heif.register_heif_opener()
    content = encoded(corners(), kind, **({"quality": 90} if kind != "GIF" else {}))
    picture, result = converted(tmp_path, content, Transform(output))
    assert (picture.format, picture.width, picture.height, picture.frames) == (output, 80, 48, 1)
    assert picture.size == len(result)
    assert picture.source_format == kind.lower()
    shown = opened(result)
    assert Image.MIME[shown.format or ""] == output.mime
    for found, wanted in zip(colours_at_quarters(shown), QUARTERS, strict=True):
        assert is_near(found, wanted), (found, wanted)


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("AVIF", "avif"),
        ("TIFF", "jpeg"),
        ("BMP", "jpeg"),
    ],
)
def test_default_format(tmp_path: Path, kind: str, output: str) -> None:
    picture, _ = converted(tmp_path, encoded(corners(), kind))
    assert picture.format == output


def test_default_format_of_a_transparent_tiff_is_png(tmp_path: Path) -> None:
    transparent = corners().convert("RGBA")
    transparent.putpixel((0, 0), (0, 0, 0, 0))
    assert converted(tmp_path, encoded(transparent, "TIFF"))[0].format is Format.PNG
    assert converted(tmp_path, encoded(corners().convert("RGBA"), "TIFF"))[0].format is Format.JPEG


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_every_orientation(tmp_path: Path, kind: str, orientation: int) -> None:
    stored = stored_as(orientation, corners())
    lossless = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    content = encoded(stored, kind, exif=oriented(orientation), **lossless)
    for transform, size in [
        (Transform(Format.PNG), (80, 48)),
        (Transform(Format.PNG, max_width=40), (40, 24)),
    ]:
        picture, result = converted(tmp_path, content, transform)
        assert (picture.width, picture.height) == opened(result).size == size
        for found, wanted in zip(colours_at_quarters(opened(result)), QUARTERS, strict=True):
            assert is_near(found, wanted), (orientation, found, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photo_is_shrunk_on_load_and_turned(tmp_path: Path, orientation: int) -> None:
    content = encoded(
        stored_as(orientation, corners(1600, 960)), "JPEG", exif=oriented(orientation)
    )
    picture, result = converted(tmp_path, content, Transform(max_width=100, max_height=300))
    assert (picture.width, picture.height) == opened(result).size == (100, 60)
    for found, wanted in zip(colours_at_quarters(opened(result)), QUARTERS, strict=True):
        assert is_near(found, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_exactly_once(tmp_path: Path, orientation: int) -> None:
    """Pillow writes an orientation as irot and imir, and leaves it in the Exif block too."""
    content = encoded(
        stored_as(orientation, corners()), "AVIF", exif=oriented(orientation), quality=95
    )
    picture, result = converted(tmp_path, content, Transform(Format.PNG))
    assert (picture.width, picture.height) == (80, 48)
    for found, wanted in zip(colours_at_quarters(opened(result)), QUARTERS, strict=True):
        assert is_near(found, wanted)


@pytest.mark.parametrize("output", list(Format))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_metadata_is_gone(tmp_path: Path, kind: str, output: Format) -> None:
    content = encoded(noise(), kind, exif=oriented(1))
    assert b"SECRETCAM" in content
    _, result = converted(tmp_path, content, Transform(output))
    assert b"SECRET" not in result
    assert not opened(result).getexif()
    assert "icc_profile" not in opened(result).info


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_display_p3_becomes_srgb(tmp_path: Path, kind: str) -> None:
    swatch = Image.new("RGB", (64, 64), (200, 100, 50))
    content = encoded(swatch, kind, icc_profile=display_p3())
    _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100, max_width=32))
    assert is_near(pixel(opened(result).convert("RGB"), 16, 16), (216, 93, 24), 6)


def test_cmyk_becomes_srgb(tmp_path: Path) -> None:
    swatch = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    _, result = converted(tmp_path, encoded(swatch, "JPEG", quality=95))
    red, green, blue = pixel(opened(result).convert("RGB"), 32, 32)
    assert red > 200
    assert green < 80
    assert blue < 80


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_kinds(tmp_path: Path, kind: str, mode: str) -> None:
    gray = Image.new("L", (40, 40), 0)
    gray.paste(255, (20, 0, 40, 40))
    source = (
        Image.fromarray(np.asarray(gray, np.uint16) * 257) if mode == "I;16" else gray.convert(mode)
    )
    picture, result = converted(tmp_path, encoded(source, kind), Transform(Format.JPEG))
    assert picture.size == len(result)
    shown = np.asarray(opened(result).convert("L"))
    assert shown[20, 5] < 8
    assert shown[20, 35] > 247


def test_float_tiff(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 256).repeat(16, 0))
    _, result = converted(tmp_path, encoded(ramp, "TIFF"), Transform(Format.PNG, quality=100))
    assert [opened(result).convert("L").getpixel((x, 8)) for x in (0, 128, 255)] == pytest.approx(
        [0, 128, 255], abs=1
    )


def test_palette_with_transparency(tmp_path: Path) -> None:
    palette = corners().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    clear = palette.getpixel((60, 40))
    content = encoded(palette, "PNG", transparency=clear)
    _, kept = converted(tmp_path, content, Transform(Format.WEBP))
    assert pixel(opened(kept).convert("RGBA"), 60, 40)[3] == 0
    _, flat = converted(tmp_path, content, Transform(Format.JPEG))
    assert is_near(pixel(opened(flat), 60, 40), (255, 255, 255), 4)


def test_png_at_100_is_identical(tmp_path: Path) -> None:
    source = noise().convert("RGBA")
    source.putalpha(noise(seed=3).convert("L"))
    _, result = converted(tmp_path, encoded(source, "PNG"), Transform(quality=100))
    assert opened(result).convert("RGBA").tobytes() == source.tobytes()


def test_webp_at_100_is_lossless_for_a_lossless_source_only(tmp_path: Path) -> None:
    _, exact = converted(tmp_path, encoded(noise(), "PNG"), Transform(Format.WEBP, quality=100))
    assert opened(exact).convert("RGB").tobytes() == noise().tobytes()
    _, lossy = converted(
        tmp_path, encoded(noise(), "JPEG", quality=90), Transform(Format.WEBP, quality=100)
    )
    assert b"VP8 " in lossy


@pytest.mark.parametrize("output", [Format.GIF, Format.WEBP])
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_stays_one(tmp_path: Path, kind: str, output: Format) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    # GIF counts the repetitions after the first showing, WebP all showings.
    content = animated(
        kind, animation(), duration=[50, 70, 90], loop=3 if kind == "WEBP" else 2, **lossless
    )
    picture, result = converted(tmp_path, content, Transform(output, max_width=32))
    moving = opened(result)
    assert (picture.frames, frames_of(moving), moving.size) == (3, 3, (32, 20))
    assert moving.info["loop"] == (3 if output is Format.WEBP else 2)
    for number, (colour, delay) in enumerate(zip((RED, GREEN, BLUE), (50, 70, 90), strict=True)):
        moving.seek(number)
        moving.load()
        frame = np.asarray(moving.convert("RGB"), int)
        assert np.abs(frame - colour).max() < 25, "a frame bled into its neighbour"
        assert moving.info["duration"] == delay


@pytest.mark.parametrize("output", [Format.JPEG, Format.PNG, Format.AVIF])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_else_its_first_frame(tmp_path: Path, kind: str, output: Format) -> None:
    picture, result = converted(
        tmp_path, animated(kind, animation(), duration=50), Transform(output)
    )
    assert (picture.frames, frames_of(opened(result))) == (1, 1)
    assert is_near(pixel(opened(result).convert("RGB"), 30, 20), RED)


def test_frames_count_only_where_they_are_wanted(tmp_path: Path) -> None:
    content, limits = animated("GIF", animation(), duration=50), Limits(max_pixels=64 * 40 * 2)
    with pytest.raises(ImageTooLarge):
        converted(tmp_path, content, limits=limits)
    assert converted(tmp_path, content, Transform(Format.JPEG), limits)[0].frames == 1


def test_never_enlarges(tmp_path: Path) -> None:
    picture, _ = converted(
        tmp_path, encoded(corners(), "JPEG"), Transform(max_width=4000, max_height=4000)
    )
    assert (picture.width, picture.height) == (80, 48)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (Transform(Format.PNG, max_width=100, max_height=400, preserve_aspect=False), (100, 400)),
        (Transform(Format.PNG, max_width=100, preserve_aspect=False), (100, 960)),
        (Transform(Format.PNG, max_width=9000, max_height=48, preserve_aspect=False), (1600, 48)),
        (Transform(Format.PNG, preserve_aspect=False), (1600, 960)),
    ],
)
def test_stretching_bounds_each_side_of_the_upright_picture(
    tmp_path: Path, transform: Transform, size: tuple[int, int], orientation: int
) -> None:
    content = encoded(
        stored_as(orientation, corners(1600, 960)), "JPEG", exif=oriented(orientation), quality=95
    )
    picture, result = converted(tmp_path, content, transform)
    assert (picture.width, picture.height) == opened(result).size == size
    for found, wanted in zip(colours_at_quarters(opened(result)), QUARTERS, strict=True):
        assert is_near(found, wanted)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_is_stretched_frame_by_frame(tmp_path: Path, kind: str) -> None:
    transform = Transform(max_width=64, max_height=10, preserve_aspect=False)
    picture, result = converted(tmp_path, animated(kind, animation(), duration=50), transform)
    assert (picture.width, picture.height, picture.frames, opened(result).size) == (
        64,
        10,
        3,
        (64, 10),
    )


def test_a_line_stays_one_pixel_high(tmp_path: Path) -> None:
    picture, result = converted(
        tmp_path, encoded(corners(4000, 2), "PNG"), Transform(max_width=100)
    )
    assert (picture.width, picture.height) == opened(result).size == (100, 1)


@pytest.mark.parametrize(
    ("limits", "content"),
    [
        (Limits(max_side=79), encoded(corners(), "PNG")),
        (Limits(max_pixels=80 * 48 - 1), encoded(corners(), "WEBP")),
        (Limits(max_frames=2), animated("GIF", animation(), duration=50)),
        (Limits(max_scans=2), encoded(noise(), "JPEG", progressive=True)),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, content: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        converted(tmp_path, content, limits=limits)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(noise(), kind)
    with pytest.raises(UnreadableImage) as refusal:
        converted(tmp_path, content[: int(len(content) * share)])
    assert (refusal.value.status, refusal.value.code) == (422, "unreadable_image")
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage):
        converted(tmp_path, b"")


def test_no_image(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage):
        converted(tmp_path, b"just some text")


def test_messages_name_no_files(tmp_path: Path) -> None:
    for content in (b"", b"text", encoded(noise(), "JPEG")[:900]):
        with pytest.raises((UnreadableImage, UnsupportedImage)) as refusal:
            converted(tmp_path, content)
        assert str(tmp_path) not in refusal.value.message
        assert "source" not in refusal.value.message.replace("its source", "")


def test_bytes_after_the_picture_are_no_damage(tmp_path: Path) -> None:
    content = encoded(noise(), "JPEG")
    assert (
        converted(tmp_path, content[:-2] + b"\0\0\0\0" + content[-2:] + b"trailer")[0].width == 256
    )


def test_lost_restart_markers_are_damage(tmp_path: Path) -> None:
    content = encoded(noise(), "JPEG", restart_marker_rows=1)
    at = content.index(b"\xff\xd3")
    with pytest.raises(UnreadableImage):
        converted(tmp_path, content[:at] + b"\xff\xd6" + content[at + 2 :])


@pytest.mark.parametrize("span", ["full", "limited"])
def test_gray_avif_of_either_range(tmp_path: Path, span: str) -> None:
    ramp = Image.linear_gradient("L").convert("RGB")
    content = encoded(ramp, "AVIF", subsampling="4:0:0", range=span, quality=95)
    _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100))
    error = np.abs(
        np.asarray(opened(result).convert("L"), int) - np.asarray(ramp.convert("L"), int)
    )
    assert error.mean() < 2


def test_libvips_calls_no_python_while_it_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would abort where garbage is collected just then, so that a file's answer would depend on
    what the process did before."""
    caplog.set_level(logging.DEBUG)
    converted(tmp_path, encoded(noise(), "JPEG", icc_profile=b"no profile" * 20))
    assert not [record for record in caplog.records if "VIPS" in record.getMessage()]
