import pytest

from app.imaging.engine.containers import gif
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import animated, animation, corners, encoded, frames_of, opened


def test_header() -> None:
    header = gif.read_header(animated("GIF", animation(), duration=50))
    assert (header.width, header.height, header.frames) == (64, 40, 3)


def test_a_frame_beyond_the_screen_counts() -> None:
    picture = bytearray(encoded(corners(), "GIF"))
    picture[6:10] = b"\x01\0\x01\0"
    header = gif.read_header(bytes(picture))
    assert (header.width, header.height) == (80, 48)


def test_strip_keeps_frames_delays_and_loops() -> None:
    moving = animated("GIF", animation(), duration=[50, 70, 90], loop=3, comment=b"SECRET")
    stripped = gif.strip(moving)
    assert b"SECRET" in moving
    assert b"SECRET" not in stripped
    before, after = opened(moving), opened(stripped)
    assert (frames_of(after), after.info["loop"]) == (3, 3)
    for number in range(3):
        before.seek(number)
        after.seek(number)
        assert after.info["duration"] == before.info["duration"]
        assert after.convert("RGB").tobytes() == before.convert("RGB").tobytes()


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"GIF89a\x01\0\x01\0\0\0\0\x3b", b"GIF89a\x01\0\x01\0\0\0\0\x99"]
)
def test_nothing_inside_is_damaged(content: bytes) -> None:
    with pytest.raises((Damaged, IndexError)):
        gif.read_header(content)


def test_a_missing_trailer_and_stray_zeros_are_no_damage() -> None:
    moving = animated("GIF", animation(), duration=50)
    at = moving.index(b"\x21\xf9", moving.index(b"\x21\xf9") + 8)
    assert gif.read_header(moving[:at] + b"\0\0" + moving[at:-1]).frames == 3


@pytest.mark.parametrize("number", range(4))
def test_a_cut_inside_a_block_is_damaged(number: int) -> None:
    moving = animated("GIF", animation(), duration=50)
    with pytest.raises((Damaged, IndexError)):
        gif.read_header(moving[: list(gif.blocks(moving))[number].end - 2])
