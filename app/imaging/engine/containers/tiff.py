"""TIFF 6.0 and BigTIFF, and the camera RAW formats built on it: directories."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header

WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, STRIP_COUNTS = 256, 257, 259, 262, 273, 279
TILE_OFFSETS, TILE_COUNTS, SUB_IFDS, JPEG_OFFSET, JPEG_LENGTH, DNG_VERSION = (
    324,
    325,
    330,
    513,
    514,
    50706,
)
SAMPLES, ROWS_PER_STRIP, PLANAR, TILE_WIDTH, TILE_LENGTH = 277, 278, 284, 322, 323
SEPARATE = 2  # PlanarConfiguration: each band has strips of its own
# Bytes in the file: tag 273 with 279, 324 with 325, 513 with 514.
EXTENTS = ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS), (JPEG_OFFSET, JPEG_LENGTH))
# CFA and LinearRaw (TIFF/EP, DNG 1.7 "PhotometricInterpretation").
SENSOR = {32803, 34892}
# What only cameras write: Sony, packed, Samsung, Nikon, Kodak, Pentax.
SENSOR_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}
TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
MAX_DIRECTORIES = 1000


class Directory(dict[int, tuple[int, ...]]):
    """One IFD: its whole-number entries by tag. Text, rationals and floats are left out."""

    def first(self, tag: int) -> int:
        """An entry's first value; 0 where it is missing."""
        return self.get(tag, (0,))[0] if self.get(tag) else 0


class _Layout(NamedTuple):
    """How wide things are: byte order, and the classic or the 64-bit structure."""

    order: str
    big: bool


def _layout(data: Data) -> tuple[_Layout, int]:
    """The layout and the offset of the first directory. Olympus and Panasonic put their own letters
    for the 42."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] == 43:
        return _Layout(order, True), struct.unpack_from(order + "Q", data, 8)[0]
    return _Layout(order, False), struct.unpack_from(order + "I", data, 4)[0]


def directories(data: Data) -> Iterator[Directory]:
    """All directories, each one's children (SubIFDs) after it. Each is read once, so that loops
    end."""
    layout, first = _layout(data)
    seen: set[int] = set()
    waiting = [first]
    while waiting:
        at = waiting.pop(0)
        if not at or at in seen:
            continue
        if len(seen) >= MAX_DIRECTORIES:
            raise Damaged("too many directories")
        seen.add(at)
        directory, following = _directory(data, layout, at)
        yield directory
        waiting += [*directory.get(SUB_IFDS, ()), following]


def _directory(data: Data, layout: _Layout, at: int) -> tuple[Directory, int]:
    """The directory at an offset, and the offset of the next one."""
    order, big = layout
    count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
    at, step = at + (8 if big else 2), 20 if big else 12
    if at + count * step > len(data):
        raise Damaged("directory reaches past the file")
    directory = Directory()
    for entry in range(at, at + count * step, step):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        if kind in TYPES:
            directory[tag] = _values(data, layout, entry + (12 if big else 8), kind, number)
    end = at + count * step
    pointer = order + ("Q" if big else "I")
    return directory, struct.unpack_from(pointer, data, end)[0] if end + struct.calcsize(
        pointer
    ) <= len(data) else 0


def _values(data: Data, layout: _Layout, at: int, kind: int, number: int) -> tuple[int, ...]:
    order, big = layout
    size = SIZES[kind] * number
    if size > (8 if big else 4):
        at = struct.unpack_from(order + ("Q" if big else "I"), data, at)[0]
    if at + size > len(data):
        raise Damaged("entry reaches past the file")
    if kind == 7 and number > 64:
        return ()  # a maker's note or another block of bytes, none of which is an offset
    return struct.unpack_from(f"{order}{number}{TYPES[kind]}", data, at)


def read_header(data: Data) -> Header:
    """The first directory's size: that is the picture which is shown. All are walked, so that none
    is cut off."""
    first, *_ = directories(data)
    return Header(first.first(WIDTH), first.first(HEIGHT), lossless=True)


def is_raw(data: Data) -> bool:
    """Whether sensor data is inside, by structure: a TIFF that merely names a camera maker stays a
    TIFF."""
    if data[2:4] not in (b"*\0", b"\0*"):
        return data[:4] in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
    if data[8:10] == b"CR" or data[8:12] in (b"IIII", b"MMMM"):
        return True
    try:
        return any(
            DNG_VERSION in directory
            or directory.first(PHOTOMETRIC) in SENSOR
            or directory.first(COMPRESSION) in SENSOR_COMPRESSIONS
            for directory in directories(data)
        )
    except (Damaged, struct.error):
        return False


def check_complete(data: Data) -> None:
    """Damaged where any strip, tile or embedded JPEG of any directory reaches past the end of the
    file, or a directory names fewer tiles or strips than its size takes."""
    for directory in directories(data):
        _check_count(directory)
        for offsets, counts in EXTENTS:
            for at, length in zip(
                directory.get(offsets, ()), directory.get(counts, ()), strict=False
            ):
                if at + length > len(data):
                    raise Damaged("picture data reaches past the file")


def _check_count(directory: Directory) -> None:
    """Raises Damaged. A single strip is let pass: cameras write one, and any number for its
    rows."""
    width, height = directory.first(WIDTH), directory.first(HEIGHT)
    planes = directory.first(SAMPLES) if directory.first(PLANAR) == SEPARATE else 1
    across, down = directory.first(TILE_WIDTH), directory.first(TILE_LENGTH)
    rows = directory.first(ROWS_PER_STRIP)
    tiles, strips = directory.get(TILE_OFFSETS, ()), directory.get(STRIP_OFFSETS, ())
    missing = (
        across and down and tiles and len(tiles) < -(-width // across) * -(-height // down) * planes
    ) or (rows and len(strips) > 1 and len(strips) < -(-height // rows) * planes)
    if missing:
        raise Damaged("fewer tiles or strips than the size takes")
