"""Videos that are damaged, lie, or are meant to harm: the answer is a typed refusal, and nothing
else is touched."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.imaging import ImageTooLarge, ImagingError, Limits, UnreadableImage, UnsupportedImage
from tests.imaging.samples import RED, examined
from tests.videos import FILMS, STILL, film, followed, plain


@pytest.mark.parametrize("name", ["mp4", "faststart", "mov", "webm"])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_cut_file_is_refused(tmp_path: Path, name: str, tenths: int) -> None:
    content = FILMS[name]
    with pytest.raises(UnreadableImage):
        examined(tmp_path, content[: len(content) * tenths // 10])
    assert list(tmp_path.iterdir()) == [tmp_path / "source"]


@pytest.mark.parametrize("name", ["mp4", "faststart", "mov", "webm"])
def test_the_last_byte_is_missed_too(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableImage):
        examined(tmp_path, FILMS[name][:-1])


def test_samples_without_an_end_are_missed_by_their_table(tmp_path: Path) -> None:
    content = bytearray(FILMS["faststart"])
    at = content.index(b"mdat") - 4
    content[at : at + 4] = bytes(4)  # a box that goes on to the end of the file
    assert examined(tmp_path, bytes(content))[0].duration_ms == 2000
    with pytest.raises(UnreadableImage):
        examined(tmp_path, bytes(content[:-40]))


def test_a_64_bit_size(tmp_path: Path) -> None:
    content = FILMS["mp4"]
    at = content.index(b"\0\0\0\x08free")
    size = int.from_bytes(content[at + 8 : at + 12], "big")
    assert content[at + 12 : at + 16] == b"mdat"
    wide = content[:at] + struct.pack(">I4sQ", 1, b"mdat", size + 8) + content[at + 16 :]
    assert examined(tmp_path, wide)[0].width == 80
    # A box that ends behind the file, though the movie box does not.
    with pytest.raises(UnreadableImage):
        examined(
            tmp_path, content[:at] + struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + content[at + 16 :]
        )


def test_what_others_append_is_no_damage(tmp_path: Path) -> None:
    assert examined(tmp_path, FILMS["mp4"] + b"\xff" * 100)[0].width == 80


@pytest.mark.parametrize("brand", [b"XXXX", b"jp2 ", b"crx "])
def test_a_wrong_brand(tmp_path: Path, brand: bytes) -> None:
    content = FILMS["mp4"]
    end = int.from_bytes(content[:4], "big")
    relabelled = content[:8] + brand * ((end - 8) // 4) + content[end:]
    with pytest.raises((UnsupportedImage, UnreadableImage)):
        examined(tmp_path, relabelled)


def test_plain_matroska_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage):
        examined(tmp_path, film(STILL[:2], "matroska", "libvpx"))


def test_one_container_under_the_other_s_name(tmp_path: Path) -> None:
    disguised = FILMS["mp4"][: int.from_bytes(FILMS["mp4"][:4], "big")] + FILMS["webm"]
    with pytest.raises(UnreadableImage):
        examined(tmp_path, disguised)


def test_a_movie_without_samples(tmp_path: Path) -> None:
    empty = film(STILL, live=True)
    with pytest.raises(ImagingError) as refusal:
        examined(tmp_path, empty[: empty.index(b"moof") - 4])
    assert refusal.value.status == 422


def test_a_wider_video_than_may_be(tmp_path: Path) -> None:
    with pytest.raises(ImageTooLarge, match="pixels wide or high"):
        examined(
            tmp_path,
            film(
                [plain(RED, 20_016, 16)],
                "mov",
                "mjpeg",
                pix_fmt="yuvj420p",
                tags={"color_range": 2},
            ),
        )


def test_pixels_so_wide_that_the_video_is(tmp_path: Path) -> None:
    with pytest.raises(ImageTooLarge, match="pixels wide or high"):
        examined(tmp_path, film([plain(RED, 2048, 16)], aspect=Fraction(10)))


def test_a_frame_that_grows_is_not_decoded(tmp_path: Path) -> None:
    content = followed(film(STILL[:1], "webm"), film([plain(RED, 1280, 720)], "webm"))
    original, poster = examined(tmp_path, content, Limits(max_pixels=100_000))
    assert (original.width, original.height) == poster.size == (80, 48)
    assert examined(tmp_path, content)[0].width == 1280


@pytest.mark.parametrize(("width", "height"), [(65_500, 2), (2, 65_500), (19_000, 19_000)])
def test_frames_larger_than_their_header_says(tmp_path: Path, width: int, height: int) -> None:
    content = film(STILL[:2], "mov", "mjpeg", pix_fmt="yuvj420p", tags={"color_range": 2})
    size_in_frame = struct.pack(">HH", 48, 80)
    assert content.count(b"\xff\xc0\0\x11\x08" + size_in_frame) == 2
    with pytest.raises((ImageTooLarge, UnreadableImage)):
        examined(tmp_path, content.replace(size_in_frame, struct.pack(">HH", height, width)))


@pytest.mark.parametrize(
    "limits",
    [Limits(max_side=79), Limits(max_pixels=80 * 48 - 1), Limits(max_duration_seconds=1.9)],
)
@pytest.mark.parametrize("name", ["mp4", "live webm"])
def test_limits(tmp_path: Path, name: str, limits: Limits) -> None:
    with pytest.raises(ImageTooLarge):
        examined(tmp_path, FILMS[name], limits)


def alias_to(path: str) -> bytes:
    """A Macintosh alias record that names a file by its absolute path, as QuickTime's data
    references hold."""
    name = path.encode()
    record = (
        bytes(10)
        + b"\0" * 28
        + bytes(12)
        + b"\0" * 64
        + bytes(16)
        + struct.pack(">HH", 0, 0)
        + bytes(16)
    )
    record += (
        struct.pack(">HH", 2, len(name))
        + name
        + b"\0" * (len(name) & 1)
        + struct.pack(">HH", 0xFFFF, 0)
    )
    return struct.pack(">I4sI", len(record) + 12, b"alis", 0) + record


def referring(content: bytes, reference: bytes) -> bytes:
    """The film with its samples in another file; its own are gone. The movie box stands last, so no
    offset moves."""
    at = content.index(b"dref\0\0\0\0\0\0\0\x01") + 12
    own = int.from_bytes(content[at : at + 4], "big")
    grown = bytearray(content[:at] + reference + content[at + own :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = grown.index(box) - 4
        size = int.from_bytes(grown[start : start + 4], "big") + len(reference) - own
        grown[start : start + 4] = struct.pack(">I", size)
    samples_at = content.index(b"mdat") + 4
    grown[samples_at : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - samples_at)
    return bytes(grown)


def test_a_film_can_not_have_another_file_opened(tmp_path: Path) -> None:
    other = tmp_path / "another customer's file"
    other.write_bytes(FILMS["mov"])
    content = referring(FILMS["mov"], alias_to(str(other)))
    trap = tmp_path / "trap"
    trap.write_bytes(content)
    with av.open(trap, options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert next(container.decode(video=0)).width == 80, (
            "a reference that leads nowhere would prove nothing"
        )
    with pytest.raises(UnreadableImage):
        examined(tmp_path, content)


@contextmanager
def listening() -> Iterator[tuple[int, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1], server


@pytest.mark.parametrize("scheme", ["http", "tcp", "rtmp"])
def test_a_film_can_not_reach_the_network(tmp_path: Path, scheme: str) -> None:
    with listening() as (port, server):
        address = f"{scheme}://127.0.0.1:{port}/film.mov".encode()
        url = struct.pack(">I4sI", 13 + len(address), b"url ", 0) + address + b"\0"
        playlist = (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n" + address + b"\n#EXT-X-ENDLIST\n"
        )
        concat = b"ffconcat version 1.0\nfile " + address + b"\n"
        brand = FILMS["mp4"][: int.from_bytes(FILMS["mp4"][:4], "big")]
        for content in (
            referring(FILMS["mov"], url),
            referring(FILMS["mov"], alias_to(address.decode())),
            playlist,
            concat,
            brand + playlist,
            brand + concat,
        ):
            with pytest.raises((UnreadableImage, UnsupportedImage)):
                examined(tmp_path, content)
        with pytest.raises(BlockingIOError):
            server.accept()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(sorted(FILMS)),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=8
    ),
)
def test_flipped_bits(tmp_path: Path, name: str, flips: list[tuple[float, int]]) -> None:
    content = bytearray(FILMS[name])
    for place, bit in flips:
        content[int(place * len(content))] ^= 1 << bit
    with suppress(UnreadableImage, UnsupportedImage, ImageTooLarge):
        original, poster = examined(tmp_path, bytes(content), Limits(max_pixels=1_000_000))
        assert original.width * original.height <= 1_000_000
        assert max(poster.size) <= 480
