import struct

import pytest

from app.imaging.engine.containers import tiff
from app.imaging.engine.containers.header import Damaged
from tests.imaging.samples import corners, encoded


@pytest.mark.parametrize("big", [False, True])
def test_header(big: bool) -> None:
    header = tiff.read_header(encoded(corners(70, 30), "TIFF", big_tiff=big))
    assert (header.width, header.height) == (70, 30)


def test_big_endian() -> None:
    # One directory with ImageWidth (short) and ImageLength (long).
    entries = struct.pack(">HHIHH", 256, 3, 1, 640, 0) + struct.pack(">HHII", 257, 4, 1, 480)
    header = tiff.read_header(b"MM\0*\0\0\0\x08\0\x02" + entries + bytes(4))
    assert (header.width, header.height) == (640, 480)


def test_a_directory_that_leads_to_itself_is_read_once() -> None:
    entries = struct.pack("<HHIHH", 256, 3, 1, 640, 0) + struct.pack("<HHII", 330, 4, 1, 8)
    assert (
        len(list(tiff.directories(b"II*\0\x08\0\0\0\x02\0" + entries + struct.pack("<I", 8)))) == 1
    )


def test_endless_directories_are_damaged() -> None:
    count = tiff.MAX_DIRECTORIES + 1
    chain = b"".join(struct.pack("<HI", 0, 8 + 6 * (number + 1)) for number in range(count))
    with pytest.raises(Damaged, match="too many"):
        list(tiff.directories(b"II*\0\x08\0\0\0" + chain + bytes(6)))


@pytest.mark.parametrize("entry", [(273, 4, 1_000_000, 8), (258, 3, 500, 4_000_000_000)])
def test_entries_past_the_file_are_damaged(entry: tuple[int, int, int, int]) -> None:
    content = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", *entry) + bytes(4)
    with pytest.raises(Damaged):
        tiff.read_header(content)


def test_complete_means_all_of_its_strips() -> None:
    whole = encoded(corners(), "TIFF")
    tiff.check_complete(whole)
    at = whole.index(struct.pack("<HHI", 273, 4, 1)) + 8
    with pytest.raises(Damaged, match="past the file"):
        tiff.check_complete(whole[:at] + struct.pack("<I", len(whole) - 10) + whole[at + 4 :])
