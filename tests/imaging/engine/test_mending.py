"""JPEG as phones and old programs write it. What is right is what Pillow's libjpeg, which shrugs at
warnings, makes of the file before it was spoiled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.imaging import Format, Transform, UnreadableImage
from tests.imaging.samples import converted, encoded, noise, opened

LOSSLESS = Transform(Format.PNG, quality=100)
JUNK = bytes(range(0x20, 0x32))
PHOTO = encoded(noise(), "JPEG", comment=b"a comment", icc_profile=b"profile" * 9)
CMYK = encoded(noise().convert("CMYK"), "JPEG")
Spoil = Callable[[bytes], bytes]


def junk_before(marker: int) -> Spoil:
    return lambda photo: photo.replace(bytes([0xFF, marker]), JUNK + bytes([0xFF, marker]), 1)


def replace(old: bytes, new: bytes) -> Spoil:
    def spoil(photo: bytes) -> bytes:
        assert old in photo
        return photo.replace(old, new, 1)

    return spoil


FLAWS: dict[str, Spoil] = {
    "junk before the tables": junk_before(0xDB),
    "junk before a profile": junk_before(0xE2),
    "junk before a comment": junk_before(0xFE),
    "junk before the frame": junk_before(0xC0),
    "junk before the codes": junk_before(0xC4),
    "junk before the scan": junk_before(0xDA),
    "junk in two places": lambda photo: junk_before(0xC4)(junk_before(0xDB)(photo)),
    "no end": lambda photo: photo[:-2],
    "half an end": lambda photo: photo[:-1],
    "no end, but junk": lambda photo: junk_before(0xDB)(photo[:-2]),
    "bytes before the end": lambda photo: photo[:-2] + bytes(7) + photo[-2:],
    "bytes before the end, junk": lambda photo: (
        junk_before(0xDA)(photo[:-2]) + bytes(7) + photo[-2:]
    ),
    "bytes behind the end": lambda photo: photo + b"trailer",
    "another JFIF": replace(b"JFIF\0\x01", b"JFIF\0\x02"),
    "spectral selection": replace(b"\x03\x11\x00\x3f\x00", b"\x03\x11\x00\x00\x00"),
    "successive approximation": replace(b"\x03\x11\x00\x3f\x00", b"\x03\x11\x00\x3f\x21"),
}  # fmt: skip


def pixels(content: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(opened(content).convert(mode), int)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_that_costs_no_pixel_is_taken(tmp_path: Path, flaw: str) -> None:
    spoilt = FLAWS[flaw](PHOTO)
    assert spoilt != PHOTO
    _, result = converted(tmp_path, spoilt, LOSSLESS)
    assert np.abs(pixels(result) - pixels(PHOTO)).max() <= 1
    picture, small = converted(tmp_path, spoilt, Transform(max_width=100))
    assert opened(small).size == (picture.width, picture.height) == (100, 75)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "source", tmp_path / "target"]


@pytest.mark.parametrize("flaw", ["junk before the tables", "no end", "bytes before the end"])
def test_an_original_that_is_kept_is_mended(tmp_path: Path, flaw: str) -> None:
    photo = encoded(noise(), "JPEG", quality=20)
    kept, result = converted(tmp_path, FLAWS[flaw](photo), Transform(quality=95))
    assert kept.kept_original
    assert Image.open(tmp_path / "target").tobytes() == opened(photo).tobytes()
    assert result.endswith(b"\xff\xd9")


@pytest.mark.parametrize("photo", [PHOTO, CMYK])
def test_an_unknown_colour_transform_is_the_usual_one(tmp_path: Path, photo: bytes) -> None:
    adobe = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x07"
    if b"Adobe" in photo:
        at = photo.index(b"Adobe") + 11
        photo, spoilt = (
            photo[:at] + b"\x02" + photo[at + 1 :],
            photo[:at] + b"\x07" + photo[at + 1 :],
        )
    else:
        head = photo.index(b"\xff\xdb")
        photo = photo[:2] + photo[head:]
        spoilt = photo[:2] + adobe + photo[2:]
    wanted = converted(tmp_path, photo, LOSSLESS)[1]
    assert converted(tmp_path, spoilt, LOSSLESS)[1] == wanted


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_cut_photo_is_refused_with_what_is_missing(tmp_path: Path, share: float) -> None:
    start = PHOTO.index(b"\xff\xda")
    cut = PHOTO[: start + int((len(PHOTO) - start) * share)]
    for content in (cut, cut + b"\xff\xd9", junk_before(0xDB)(cut)):
        with pytest.raises(UnreadableImage, match=r"the lower (\d+) % of the picture") as refusal:
            converted(tmp_path, content, LOSSLESS)
        missing = int(refusal.value.message.split(" % ")[0].rsplit(" ", 1)[1])
        assert abs(missing - 100 * (1 - share)) <= 12
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


def test_junk_hides_no_damage(tmp_path: Path) -> None:
    restarting = encoded(noise(), "JPEG", restart_marker_rows=1)
    lost = restarting.replace(b"\xff\xd3", b"\xff\xd6", 1)
    with pytest.raises(UnreadableImage):
        converted(tmp_path, junk_before(0xDB)(lost[:-2]), LOSSLESS)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_progressive_photo_is_refused(tmp_path: Path, share: float) -> None:
    photo = encoded(noise(), "JPEG", progressive=True)
    with pytest.raises(UnreadableImage, match="The JPEG is damaged or incomplete; export"):
        converted(tmp_path, photo[: int(len(photo) * share)], LOSSLESS)
