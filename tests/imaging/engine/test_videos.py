"""Videos: what is told of them, and their posters."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.imaging import (
    Limits,
    Transform,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.engine.perform import convert
from tests.imaging.samples import (
    BLUE,
    GREEN,
    QUARTERS,
    RED,
    colours_at_quarters,
    corners,
    encoded,
    examined,
    is_near,
    noise,
    pixel,
)
from tests.videos import FILMS, STILL, film, plain, sound

MIMES = {"mov": "video/quicktime", "webm": "video/webm", "live webm": "video/webm"}


def middle(picture: Image.Image) -> tuple[int, ...]:
    return pixel(picture.convert("RGB"), picture.width // 2, picture.height // 2)


def assert_corners(
    poster: Image.Image, wanted: tuple[tuple[int, int, int], ...] = QUARTERS
) -> None:
    for shown, colour in zip(colours_at_quarters(poster), wanted, strict=True):
        assert is_near(shown, colour), (shown, colour)


@pytest.mark.parametrize("name", FILMS)
def test_every_container(tmp_path: Path, name: str) -> None:
    original, poster = examined(tmp_path, FILMS[name])
    mime = MIMES.get(name, "video/mp4")
    assert (original.mime, original.is_video) == (mime, True)
    assert original.kind == {"video/quicktime": "mov"}.get(mime, mime.removeprefix("video/"))
    assert (original.width, original.height, original.frames) == (80, 48, 1)
    assert original.duration_ms == pytest.approx(2000, abs=110)
    assert poster.size == (80, 48)
    assert_corners(poster)


@pytest.mark.parametrize(
    ("container", "codec", "pix_fmt"),
    [
        ("mp4", "mpeg4", "yuv420p"),
        ("mp4", "libx264", "yuv444p"),
        ("mp4", "libx264", "yuv420p10le"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("mov", "mjpeg", "yuvj420p"),
        ("webm", "libvpx", "yuv420p"),
    ],
)
def test_other_codecs_and_depths(tmp_path: Path, container: str, codec: str, pix_fmt: str) -> None:
    tags = {"color_range": 2} if pix_fmt == "yuvj420p" else {}
    assert_corners(
        examined(tmp_path, film(STILL[:3], container, codec, pix_fmt=pix_fmt, tags=tags))[1]
    )


@pytest.mark.parametrize("container", ["mp4", "mov", "webm"])
@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (-1, 0, 0, 1), (-1, 0, 0, -1), (1, 0, 0, -1),
                                    (0, 1, 1, 0), (0, 1, -1, 0), (0, -1, -1, 0),
                                    (0, -1, 1, 0)])  # fmt: skip
def test_the_display_matrix_is_applied(
    tmp_path: Path, container: str, matrix: tuple[int, int, int, int]
) -> None:
    a, b, c, d = matrix
    original, poster = examined(tmp_path, film(STILL[:2], container, matrix=matrix))
    # Each corner goes where the matrix sends it (14496-12 §6.2.2): x' = ax + cy, y' = bx + dy, with
    # y downward.
    places = {
        (a * x + c * y > 0, b * x + d * y > 0): colour
        for (x, y), colour in zip([(-1, -1), (1, -1), (-1, 1), (1, 1)], QUARTERS, strict=True)
    }
    assert (original.width, original.height) == poster.size == ((80, 48) if a else (48, 80))
    assert_corners(
        poster, tuple(places[right, low] for low in (False, True) for right in (False, True))
    )


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 107), (Fraction(8, 9), 71)])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    original, poster = examined(tmp_path, film(STILL[:2], aspect=aspect))
    assert (original.width, original.height) == poster.size == (width, 48)
    assert_corners(poster)
    turned, poster = examined(tmp_path, film(STILL[:2], aspect=aspect, matrix=(0, 1, -1, 0)))
    assert (turned.width, turned.height) == poster.size == (48, width)


def test_odd_sizes(tmp_path: Path) -> None:
    original, poster = examined(
        tmp_path, film([np.asarray(corners(81, 47))] * 2, pix_fmt="yuv444p")
    )
    assert (original.width, original.height) == poster.size == (81, 47)
    assert_corners(poster)


def test_a_large_video_has_a_small_poster(tmp_path: Path) -> None:
    original, poster = examined(
        tmp_path, film([np.asarray(corners(1280, 720))] * 2, tags={"colorspace": 1})
    )
    assert (original.width, original.height, poster.size) == (1280, 720, (480, 270))
    assert_corners(poster)


@pytest.mark.parametrize("span", [1, 2])
@pytest.mark.parametrize("matrix", [1, 5])
def test_range_and_matrix_are_those_of_the_file(tmp_path: Path, matrix: int, span: int) -> None:
    tags = {"colorspace": matrix, "color_range": span}
    assert_corners(examined(tmp_path, film(STILL[:2], tags=tags))[1])


def test_an_untagged_video_has_the_matrix_of_its_size(tmp_path: Path) -> None:
    large = [plain(RED, 1280, 720)] * 2
    _, as_bt709 = examined(tmp_path, film(large, tags={"colorspace": 1}))
    content = film(large, tags={"colorspace": 1}, told=False)
    assert is_near(middle(examined(tmp_path, content)[1]), middle(as_bt709), 3)
    assert is_near(middle(as_bt709), RED)


def test_hdr_is_brought_to_srgb(tmp_path: Path) -> None:
    """75 % of HLG's signal is diffuse white (BT.2408 §2.2), which a screen without HDR shows
    brightly, not as gray."""
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 18}
    content = film([plain((191, 191, 191))] * 2, pix_fmt="yuv420p10le", tags=tags)
    red, green, blue = middle(examined(tmp_path, content)[1])
    assert min(red, green, blue) > 215
    assert max(red, green, blue) - min(red, green, blue) < 4


def test_the_poster_is_from_a_tenth_of_the_way_in(tmp_path: Path) -> None:
    frames = [plain(BLUE)] * 3 + [plain(GREEN)] * 2 + [plain(RED)] * 35
    for container in ("mp4", "webm"):
        assert is_near(middle(examined(tmp_path, film(frames, container))[1]), GREEN)


def test_the_poster_is_not_from_later_than_three_seconds(tmp_path: Path) -> None:
    frames = [plain(BLUE)] * 29 + [plain(GREEN)] * 3 + [plain(RED)] * 400
    assert is_near(middle(examined(tmp_path, film(frames, group=50))[1]), GREEN)


def test_far_from_a_key_frame_the_poster_is_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.imaging.engine.decode.video.DECODED_PIXELS", 3 * 80 * 48)
    frames = [plain(BLUE)] * 5 + [plain(GREEN)] * 95
    assert is_near(middle(examined(tmp_path, film(frames, group=100))[1]), BLUE)


def samples(content: bytes, folder: Path) -> list[tuple[int, int]]:
    """Offset and length of each frame in a file."""
    path = folder / "samples"
    path.write_bytes(content)
    with av.open(path) as container:
        return [(entry.pos, entry.size) for entry in container.streams.video[0].index_entries]


def without(content: bytes, spoilt: list[tuple[int, int]]) -> bytes:
    emptied = bytearray(content)
    for at, size in spoilt:
        emptied[at : at + size] = bytes(size)
    return bytes(emptied)


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_recording_that_does_not_begin_at_zero(tmp_path: Path, container: str) -> None:
    frames = [plain(BLUE)] * 3 + [plain(GREEN)] * 2 + [plain(RED)] * 35
    content = film(frames, container, live=True, options={"output_ts_offset": "60"})
    original, poster = examined(tmp_path, content)
    assert original.duration_ms == pytest.approx(4000, abs=110)
    assert is_near(middle(poster), GREEN)


def test_where_that_frame_is_lost_the_first_that_decodes_is_taken(tmp_path: Path) -> None:
    content = film([plain(BLUE)] * 10 + [plain(RED)] * 90, group=1)
    all_samples = samples(content, tmp_path)
    assert is_near(middle(examined(tmp_path, without(content, all_samples[10:]))[1]), BLUE)
    assert is_near(middle(examined(tmp_path, without(content, all_samples[:11]))[1]), RED)


def test_a_frame_that_is_damaged_in_part_is_no_poster(tmp_path: Path) -> None:
    picture = np.asarray(noise(320, 192))
    content = film(
        [np.zeros_like(picture)] * 2 + [picture] * 8 + [plain(RED, 320, 192)] * 30, group=1
    )
    at, size = samples(content, tmp_path)[4]
    poster = examined(tmp_path, without(content, [(at + size // 2, size // 2)]))[1]
    whole = examined(tmp_path, content)[1]
    assert (
        np.abs(
            np.asarray(poster.convert("RGB"), int) - np.asarray(whole.convert("RGB"), int)
        ).mean()
        < 3
    )


def test_without_one_frame_that_decodes_it_is_unreadable(tmp_path: Path) -> None:
    content = film(STILL)
    with pytest.raises(UnreadableImage):
        examined(tmp_path, without(content, samples(content, tmp_path)))


@pytest.mark.parametrize("name", FILMS)
def test_convert_refuses_videos(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(FILMS[name])
    with pytest.raises(UnsupportedImage, match="no image of a supported format"):
        convert(source, tmp_path / "target", Transform(), Limits())


def test_quicktime_from_before_brands(tmp_path: Path) -> None:
    content = FILMS["mov"]
    assert content[4:12] == b"ftypqt  "
    without_brand = content.replace(b"ftypqt  ", b"free\0\0\0\0", 1)
    original, poster = examined(tmp_path, without_brand)
    assert original.mime == "video/quicktime"
    assert_corners(poster)


@pytest.mark.parametrize(
    "content",
    [sound(), sound("mov"), sound("webm", "libopus"), sound(cover=encoded(corners(), "JPEG"))],
)
def test_sound_alone_is_unsupported(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="no image or video"):
        examined(tmp_path, content)


def test_a_codec_that_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="no image or video"):
        examined(tmp_path, film(STILL[:2], "mov", "qtrle", pix_fmt="rgb24"))
