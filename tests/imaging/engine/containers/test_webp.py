import pytest

from app.imaging.engine.containers import webp
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import (
    animated,
    animation,
    corners,
    display_p3,
    encoded,
    frames_of,
    opened,
    oriented,
)


@pytest.mark.parametrize(
    ("lossless", "mode"), [(False, "RGB"), (True, "RGB"), (False, "RGBA"), (True, "RGBA")]
)
def test_header(lossless: bool, mode: str) -> None:
    header = webp.read_header(encoded(corners(70, 31).convert(mode), "WEBP", lossless=lossless))
    assert (header.width, header.height, header.frames, header.lossless) == (70, 31, 1, lossless)


def test_header_of_an_animation() -> None:
    header = webp.read_header(animated("WEBP", animation(), duration=70, lossless=True))
    assert (header.width, header.height, header.frames) == (64, 40, 3)


def test_the_largest_claim_counts() -> None:
    small = encoded(corners(8, 8), "WEBP", lossless=True)
    claims = (9999 | 9999 << 14).to_bytes(4, "little")
    at = small.index(b"VP8L") + 9
    header = webp.read_header(small[:at] + claims + small[at + 4 :])
    assert (header.width, header.height) == (10_000, 10_000)


def test_strip_keeps_pixels_orientation_and_a_needed_profile() -> None:
    photo = encoded(corners(), "WEBP", exif=oriented(6), icc_profile=display_p3(), xmp=b"SECRET")
    stripped = webp.strip(photo, orientation=6, keep_profile=True)
    assert b"SECRET" in photo
    assert b"SECRET" not in stripped
    picture = opened(stripped)
    assert picture.tobytes() == opened(photo).tobytes()
    assert dict(picture.getexif()) == {274: 6}
    assert picture.info["icc_profile"] == display_p3()


def test_strip_to_the_simple_format_where_nothing_else_is_left() -> None:
    photo = encoded(corners(), "WEBP", exif=oriented(1), icc_profile=display_p3())
    stripped = webp.strip(photo, orientation=1, keep_profile=False)
    assert stripped[12:16] == b"VP8 "
    assert opened(stripped).tobytes() == opened(photo).tobytes()


def test_strip_keeps_an_animation() -> None:
    moving = animated("WEBP", animation(), duration=70, loop=4, exif=oriented(1), lossless=True)
    stripped = opened(webp.strip(moving, orientation=1, keep_profile=False))
    assert (frames_of(stripped), stripped.info["loop"]) == (3, 4)
    assert not stripped.getexif()


def test_a_cut_file_is_damaged() -> None:
    whole = encoded(corners(), "WEBP")
    with pytest.raises(Damaged):
        webp.read_header(whole[:-20])
