"""Exif (CIPA DC-008) as far as people read it: a few tags of a TIFF structure.

Only wanted tags are read, and of each only as much as is shown, so that a hostile block costs no
more than its bytes. What is broken is left out.
"""

import struct
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

from app.imaging.engine.containers.header import Data

DESCRIPTION, MAKE, MODEL, ORIENTATION, SOFTWARE, ARTIST = 270, 271, 272, 274, 305, 315
COPYRIGHT, EXPOSURE_TIME, F_NUMBER, ISO, TAKEN, OFFSET, FOCAL_LENGTH, LENS, USER_COMMENT = (
    33432, 33434, 33437, 34855, 36867, 36881, 37386, 42036, 37510,
)  # fmt: skip
XMP, IPTC, PHOTOSHOP, PROFILE = 700, 33723, 34377, 34675
EXIF_POINTER, GPS_POINTER = 34665, 34853
LATITUDE, LONGITUDE = 2, 4
WANTED = {
    DESCRIPTION, MAKE, MODEL, ORIENTATION, SOFTWARE, ARTIST, COPYRIGHT, EXPOSURE_TIME, F_NUMBER,
    ISO, TAKEN, OFFSET, FOCAL_LENGTH, LENS, USER_COMMENT, XMP, IPTC, PHOTOSHOP, PROFILE,
    EXIF_POINTER, GPS_POINTER,
}  # fmt: skip
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, POINTER, UTF8 = 1, 2, 3, 4, 5, 7, 13, 129
SIZES = {
    BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, POINTER: 4, UTF8: 1,
}  # fmt: skip
MAX_TEXT = 200
BIG = 43
"""The version number of BigTIFF, whose metadata is not read."""


class Entry(NamedTuple):
    """A tag's value: its type, the number of units, where it begins."""

    kind: int
    number: int
    at: int


@dataclass
class Exif:
    """The wanted tags of a block, of its first directory and of its Exif directory together."""

    data: Data = b""
    order: str = "<"
    entries: dict[int, Entry] = field(default_factory=dict)
    has_place: bool = False

    def text(self, tag: int) -> str:
        """A text, cleaned and clipped; empty where there is none."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (ASCII, UNDEFINED, UTF8):
            return ""
        return cleaned(self.data[entry.at : entry.at + min(entry.number, 4 * MAX_TEXT)])

    def raw(self, tag: int, most: int) -> bytes:
        """The bytes of a tag of any type, ``most`` of them."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        size = min(SIZES[entry.kind] * entry.number, most)
        return bytes(self.data[entry.at : entry.at + size])

    def number(self, tag: int) -> float | None:
        """The first number of a tag; None where there is none, or no finite positive one."""
        entry = self.entries.get(tag)
        if entry is None or not entry.number:
            return None
        try:
            if entry.kind == RATIONAL:
                above, below = struct.unpack_from(self.order + "II", self.data, entry.at)
                return above / below if above and below else None
            letter = {SHORT: "H", LONG: "I", POINTER: "I"}[entry.kind]
            return struct.unpack_from(self.order + letter, self.data, entry.at)[0] or None
        except (KeyError, struct.error):
            return None


def read(data: Data) -> Exif:
    """The wanted tags of a TIFF structure that begins at the first byte. Never raises for what is
    broken in it: what can be read is there."""
    exif = Exif(data, "<" if data[:2] == b"II" else ">")
    try:
        version, first = struct.unpack_from(exif.order + "HI", data, 2)
    except struct.error:
        return exif
    if version == BIG or data[:2] not in (b"II", b"MM"):
        return exif
    exif.entries = _directory(exif, first, WANTED)
    exif.has_place = _is_place(exif, first)  # CR3 keeps the places in a block of their own
    if pointer := exif.number(EXIF_POINTER):
        exif.entries = _directory(exif, int(pointer), WANTED) | exif.entries
    if pointer := exif.number(GPS_POINTER):
        exif.has_place = _is_place(exif, int(pointer))
    return exif


def _is_place(exif: Exif, at: int) -> bool:
    places = _directory(exif, at, {LATITUDE, LONGITUDE})
    return all(places.get(tag, Entry(0, 0, 0)).kind == RATIONAL for tag in (LATITUDE, LONGITUDE))


def _directory(exif: Exif, at: int, wanted: set[int]) -> dict[int, Entry]:
    """The wanted entries of the directory at an offset. Of a tag that is there twice the first
    holds."""
    found: dict[int, Entry] = {}
    data, order = exif.data, exif.order
    try:
        count = struct.unpack_from(order + "H", data, at)[0]
        for entry in range(at + 2, at + 2 + count * 12, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, entry)
            if tag not in wanted or tag in found or kind not in SIZES:
                continue
            inside = SIZES[kind] * number <= 4
            value = entry + 8 if inside else struct.unpack_from(order + "I", data, entry + 8)[0]
            found[tag] = Entry(kind, number, value)
    except struct.error:
        pass
    return found


def cleaned(text: bytes | str) -> str:
    """A text up to its first NUL, on one line, without control characters and direction marks, at
    most 200 characters long."""
    text = _decoded(text.partition(b"\0")[0]) if isinstance(text, bytes) else text
    words = " ".join(text[: 4 * MAX_TEXT].split())
    return "".join(one for one in words if unicodedata.category(one)[0] != "C")[:MAX_TEXT].strip()


def _decoded(text: bytes) -> str:
    """UTF-8 even where its last character was cut off, else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        cut_off = error.start > len(text) - 4 and len(text) >= MAX_TEXT
        return text[: error.start].decode() if cut_off else text.decode("latin-1")
