"""ZIP streams, as zipfile and unzip read them."""

import os
import shutil
import subprocess
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_zip import ZipIntegrityError

from app.services.exports.zip_stream import CHUNK_BYTES, Entry, chunks_of, stream
from app.services.filenames import Names

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
NEEDS_UNZIP = pytest.mark.skipif(
    not shutil.which("unzip"), reason="needs unzip: apt-get install unzip"
)


def entry(name: str, content: bytes) -> Entry:
    return Entry(name, NOON, len(content), zlib.crc32(content), chunks_of(BytesIO(content)))


def unzip(*arguments: object) -> None:
    """Names that are not ASCII are written as they are in a UTF-8 locale only."""
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    subprocess.run(
        ["unzip", "-q", *map(str, arguments)], env=environment, check=True, capture_output=True
    )


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {
        "small.webp": b"picture",
        "empty.json": b"",
        "a chunk.png": os.urandom(CHUNK_BYTES),
        "chunks and some.jpg": os.urandom(3 * CHUNK_BYTES + 17),
        "größe \N{CAMERA}.avif": os.urandom(CHUNK_BYTES - 1),
    }


def test_what_went_in_comes_out_in_order_and_stored(contents: dict[str, bytes]) -> None:
    packed = b"".join(stream(entry(name, content) for name, content in contents.items()))
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(contents)
        assert {name: archive.read(name) for name in contents} == contents
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(2026, 11, 20, 12, 0, 0)}


@NEEDS_UNZIP
def test_unzip_finds_no_fault(contents: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(b"".join(stream(entry(name, content) for name, content in contents.items())))
    unzip("-t", path)


@pytest.mark.parametrize(
    "size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES]
)
def test_an_entry_leaves_whole_before_the_next_is_asked_for(size: int) -> None:
    content, sent = os.urandom(size), BytesIO()

    def entries() -> Iterator[Entry]:
        yield entry("first", content)
        assert sent.getvalue().endswith(content)
        yield entry("second", b"x")

    for chunk in stream(entries()):
        sent.write(chunk)
    with zipfile.ZipFile(sent) as archive:
        assert archive.namelist() == ["first", "second"]


def test_an_entry_leaves_piece_by_piece_and_uncopied() -> None:
    pieces = [os.urandom(CHUNK_BYTES) for _ in range(3)]
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for piece in pieces:
            taken += 1
            yield piece

    whole = b"".join(pieces)
    archive = stream([Entry("picture", NOON, len(whole), zlib.crc32(whole), counted())])
    next(archive)  # the header
    for number, piece in enumerate(pieces, 1):
        assert next(archive) is piece
        assert taken == number


@pytest.mark.parametrize(
    ("promised", "sent"),
    [
        (b"what was promised", b"what was prom"),
        (b"what was promised", b"what was promised, and more"),
        (b"what was promised", b"what was Promised"),
        (b"x" * (CHUNK_BYTES + 1), b"x" * CHUNK_BYTES),
        (b"x", b""),
    ],
)
def test_an_entry_that_is_not_what_was_promised_fails(promised: bytes, sent: bytes) -> None:
    false = Entry("picture", NOON, len(promised), zlib.crc32(promised), [sent])
    with pytest.raises(ZipIntegrityError):
        list(stream([false, entry("another", b"x")]))


def test_memory_stays_flat() -> None:
    content = os.urandom(2_000_000)
    tracemalloc.start()
    try:
        total = sum(
            len(chunk)
            for chunk in stream(entry(f"{number}.webp", content) for number in range(100))
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > 200_000_000
    assert peak < 1_000_000


def test_more_entries_than_sixteen_bits_count() -> None:
    packed = BytesIO(b"".join(stream(entry(f"{number}", b"") for number in range(66_000))))
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist()[-1] == "65999"


@NEEDS_UNZIP
def test_more_bytes_than_thirty_two_bits_count(tmp_path: Path) -> None:
    """One entry that is larger, and one behind it; the file has a hole where the first one's zeros
    would be."""
    path, zeros, number = tmp_path / "large.zip", bytes(CHUNK_BYTES), 2**16 + 1
    checksum = 0
    for _ in range(number):
        checksum = zlib.crc32(zeros, checksum)
    large = Entry("large.raw", NOON, number * CHUNK_BYTES, checksum, (zeros for _ in range(number)))
    with path.open("wb") as file:
        for chunk in stream(
            [entry("before.jpg", b"before"), large, entry("behind.jpg", b"behind")]
        ):
            if chunk is zeros:
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
    unzip("-t", path, "before.jpg", "behind.jpg")
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [6, large.size, 6]
        assert archive.read("behind.jpg") == b"behind"


FRAGMENTS = st.sampled_from([
    "..", ".", " ", "/", "\\", "C:", "CON", "nul", "a", "A", "ß", "ss", "é", "e\u0301", ".jpg",
    ".JPEG", " (2)",
    "errors", "\x00", "\n", "*", "?", "[", "-", "~", "n" * 130, "\N{CAMERA}" * 60, "\u200d",
    "\u202e", "\ufeff",
    "\ud800", "\uffff",
])  # fmt: skip
CLIENT_NAMES = st.lists(
    st.one_of(st.text(max_size=255), st.lists(FRAGMENTS, max_size=6).map("".join)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CLIENT_NAMES)
def test_no_entry_leaves_its_folder_or_meets_another(sent: list[str]) -> None:
    names = Names(reserved=("errors.json",))
    given_out = [names.unique(name, "webp") for name in sent]
    assert len({name.casefold() for name in given_out}) == len(sent)
    assert all(len(name.encode()) <= 255 for name in given_out)
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "archive.zip"
        path.write_bytes(b"".join(stream(entry(name, name.encode()) for name in given_out)))
        folders = [Path(root) / "by zipfile"]
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folders[0])
        if shutil.which("unzip"):
            folders.append(Path(root) / "by unzip")
            unzip(path, "-d", folders[1])
        assert set(Path(root).iterdir()) == {path, *folders}
        for folder in folders:
            assert {file.name: file.read_text() for file in folder.iterdir()} == {
                name: name for name in given_out
            }
