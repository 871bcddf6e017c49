import struct
from typing import Any

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


def directory(**tags: int | tuple[int, ...]) -> bytes:
    """A TIFF of one directory, followed by a hundred bytes."""
    numbers = {
        "width": 256, "height": 257, "strips": 273, "samples": 277, "rows": 278, "planar": 284,
        "across": 322, "down": 323, "tiles": 324,
    }  # fmt: skip
    entries, values = b"", b""
    after = 8 + 2 + 12 * len(tags) + 4
    for name, value in tags.items():
        listed = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"<{len(listed)}I", *listed)
        if len(packed) > 4:
            values += packed
            packed = struct.pack("<I", after + len(values) - len(packed))
        entries += struct.pack("<HHI", numbers[name], 4, len(listed)) + packed
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    return head + entries + bytes(4) + values + bytes(100)


SIZE = {"width": 3516, "height": 2328}
TILES = SIZE | {"across": 256, "down": 240}
WHOLE = [
    TILES | {"tiles": (8,) * 140},
    SIZE | {"rows": 240, "strips": (8,) * 10},
    SIZE | {"rows": 240, "strips": (8,) * 30, "samples": 3, "planar": 2},
    SIZE | {"rows": 16, "strips": 8},
    SIZE | {"strips": 8},
]
CUT = [
    TILES | {"tiles": 8},
    TILES | {"tiles": (8,) * 139},
    TILES | {"tiles": (8,) * 140, "samples": 3, "planar": 2},
    SIZE | {"rows": 240, "strips": (8,) * 9},
    SIZE | {"rows": 240, "strips": (8,) * 10, "samples": 3, "planar": 2},
]


@pytest.mark.parametrize("tags", WHOLE)
def test_complete_means_as_many_tiles_as_the_size_takes(tags: dict[str, Any]) -> None:
    tiff.check_complete(directory(**tags))


@pytest.mark.parametrize("tags", CUT)
def test_fewer_tiles_than_the_size_takes_are_damaged(tags: dict[str, Any]) -> None:
    with pytest.raises(Damaged, match="fewer tiles"):
        tiff.check_complete(directory(**tags))
