"""Whatever a file holds, the answer is a picture or a typed refusal."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.imaging import (
    Format,
    ImageTooLarge,
    ImagingError,
    Limits,
    Transform,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.engine.perform import convert
from tests.imaging.samples import animated, animation, converted, corners, encoded, examined

SAMPLES = {
    "JPEG": encoded(corners(), "JPEG"),
    "progressive": encoded(corners(), "JPEG", progressive=True),
    "PNG": encoded(corners(), "PNG"),
    "WEBP": encoded(corners(), "WEBP"),
    "GIF": animated("GIF", animation(), duration=50),
    "AVIF": encoded(corners(), "AVIF"),
    "TIFF": encoded(corners(), "TIFF", compression="tiff_lzw"),
    "BMP": encoded(corners(), "BMP"),
}
SIGNATURES = [content[:16] for content in SAMPLES.values()]
SIGNATURES += [
    b"FUJIFILMCCD-RAW ",
    b"IIU\0\x08\0\0\0",
    b"\0\0\0\x18ftypcrx \0\0\0\0",
    b"FOVb",
    b"\0\0\0\x18ftypheic",
]
SMALL = Limits(max_pixels=1_000_000)
fuzzing = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(folder: Path, content: bytes) -> None:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    status = 200
    try:
        picture = convert(source, target, Transform(max_width=32), SMALL)
    except ImagingError as refusal:
        status = refusal.status
    assert status in (200, 413, 422)
    assert target.exists() == (status == 200)
    if status == 200:
        assert picture.size == target.stat().st_size > 0
        assert 1 <= picture.width <= 32
    with suppress(ImageTooLarge, UnreadableImage, UnsupportedImage):
        original, thumbnail = examined(folder, content, SMALL)
        assert original.width * original.height <= SMALL.max_pixels
        assert max(thumbnail.size) <= 480


@fuzzing
@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
def test_any_bytes_behind_a_signature(tmp_path: Path, signature: bytes, content: bytes) -> None:
    survives(tmp_path, signature + content)


@fuzzing
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
    ),
)
def test_changed_bytes(tmp_path: Path, kind: str, changes: list[tuple[float, int]]) -> None:
    content = bytearray(SAMPLES[kind])
    for place, value in changes:
        content[int(place * len(content))] = value
    survives(tmp_path, bytes(content))


@fuzzing
@given(st.sampled_from(sorted(SAMPLES)), st.floats(0, 1), st.floats(0, 1), st.binary(max_size=20))
def test_cut_and_spliced(
    tmp_path: Path, kind: str, first: float, second: float, between: bytes
) -> None:
    content = SAMPLES[kind]
    survives(
        tmp_path,
        content[: int(first * len(content))] + between + content[int(second * len(content)) :],
    )


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload))
            + kind
            + payload
            + struct.pack(">I", zlib.crc32(kind + payload))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


def webp_claiming(width: int, height: int) -> bytes:
    body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(20)
    return (
        b"RIFF"
        + struct.pack("<I", len(body) + 12)
        + b"WEBPVP8L"
        + struct.pack("<I", len(body))
        + body
        + b"\0"
    )


def tiff_claiming(width: int, height: int) -> bytes:
    whole = encoded(corners(16, 16), "TIFF")
    for tag, value in ((256, width), (257, height)):
        at = whole.index(struct.pack("<H", tag) + b"\x04\0\x01\0\0\0")
        whole = whole[: at + 8] + struct.pack("<I", value) + whole[at + 12 :]
    return whole


@pytest.mark.parametrize(
    "content",
    [
        png_claiming(65_535, 65_535),
        png_claiming(19_000, 19_000),
        webp_claiming(13_000, 13_000),
        tiff_claiming(60_000, 60_000),
        SAMPLES["GIF"][:6] + b"\xff\xff\xff\xff" + SAMPLES["GIF"][10:],
        SAMPLES["AVIF"].replace(struct.pack(">II", 80, 48), struct.pack(">II", 50_000, 50_000)),
    ],
)
def test_claims_are_refused_before_anything_is_decoded(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        converted(tmp_path, content)


def test_a_thousand_scans(tmp_path: Path) -> None:
    photo = SAMPLES["progressive"]
    scan = photo[photo.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageTooLarge, match="scans"):
        converted(tmp_path, photo[:-2] + scan * 1000 + b"\xff\xd9")


def test_a_thousand_and_one_frames(tmp_path: Path) -> None:
    moving = SAMPLES["GIF"]
    frame = moving[
        moving.index(b"\x21\xf9") : moving.index(b"\x21\xf9", moving.index(b"\x21\xf9") + 8)
    ]
    content = moving[:-1] + frame * 1001 + b"\x3b"
    with pytest.raises(ImageTooLarge, match="frames"):
        converted(tmp_path, content)
    assert converted(tmp_path, content, Transform(Format.PNG))[0].frames == 1
