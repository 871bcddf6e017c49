"""HEIF and AVIF (ISO/IEC 14496-12 boxes, 23008-12 items): sizes of the items, their colours, their
metadata."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header

NESTED = {b"moov", b"trak", b"iprp", b"ipco", b"dinf"}
CODED = {b"av01", b"hvc1", b"grid"}
METADATA = {b"Exif", b"mime"}
# An Exif item that says nothing: offset to its TIFF header, then a TIFF with an empty directory
# (23008-12 §A.2.1).
EMPTY_EXIF = b"\0\0\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"


class Box(NamedTuple):
    """A box with its payload at ``start:end``."""

    kind: bytes
    start: int
    end: int


class Nclx(NamedTuple):
    """Colours by ITU-T H.273 code points; ``full_range``: luma from 0 to 255, else from 16 to
    235."""

    primaries: int
    transfer: int
    full_range: bool = True


@dataclass
class Items:
    """The items of one meta box: types, extents in the file, properties, the tiles of grids, and
    which have premultiplied colours."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    properties: dict[int, list[Box]] = field(default_factory=dict)
    tiles: dict[int, list[int]] = field(default_factory=dict)
    premultiplied: set[int] = field(default_factory=set)


def boxes(data: Data, at: int, stop: int) -> Iterator[Box]:
    """The boxes of a range; size 0 reaches to its end, 1 means a 64-bit size. Damaged where one
    reaches past it."""
    while at + 8 <= stop:
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = stop - at
        if size < head or at + size > stop:
            raise Damaged("box reaches past its parent")
        yield Box(kind, at + head, at + size)
        at += size


def metas(data: Data, at: int = 0, stop: int | None = None) -> Iterator[Items]:
    """Every meta box of the file: its own, and those of the tracks of an image sequence."""
    for box in boxes(data, at, len(data) if stop is None else stop):
        if box.kind == b"meta":
            yield _items(data, box)
        elif box.kind in (b"moov", b"trak"):
            yield from metas(data, box.start, box.end)


def read_header(data: Data) -> Header:
    """The largest item's size. Damaged where a coded item has no size (23008-12 §6.5.3) or a grid
    repeats a tile."""
    sizes = []
    for items in metas(data):
        for item, kind in items.kinds.items():
            own = [
                _size(data, box) for box in items.properties.get(item, ()) if box.kind == b"ispe"
            ]
            if kind in CODED and not own:
                raise Damaged("item without a size")
            sizes += own
            if kind == b"grid":
                sizes += [_grid_size(data, items, item)]
    if not sizes:
        raise Damaged("no picture inside")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Header(width, height)


def read_nclx(data: Data) -> Nclx | None:
    """The primary item's colours where they are given as code points."""
    for items in metas(data):
        for box in items.properties.get(items.primary, ()):
            if box.kind == b"colr" and data[box.start : box.start + 4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", data, box.start + 4)
                return Nclx(primaries, transfer, full_range=bool(data[box.start + 10] & 0x80))
    return None


def is_monochrome(data: Data) -> bool:
    """Whether the primary item is AV1 without chroma (av1-isobmff §2.3.3: a flag of its
    configuration)."""
    return any(
        box.kind == b"av1C" and bool(data[box.start + 2] & 0x10)
        for items in metas(data)
        for box in items.properties.get(items.primary, ())
    )


def is_premultiplied(data: Data) -> bool:
    """Whether the primary item's colours are weighted by their alpha (23000-22 §7.3.5.2)."""
    return any(items.primary in items.premultiplied for items in metas(data))


def _size(data: Data, box: Box) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, box.start + 4)
    return width, height


def _grid_size(data: Data, items: Items, item: int) -> tuple[int, int]:
    """The output size that a grid item claims (23008-12 §6.6.2.3.2)."""
    tiles = items.tiles.get(item, [])
    if len(set(tiles)) != len(tiles):
        raise Damaged("grid repeats a tile")
    at, _ = items.extents[item][0]
    width, height = struct.unpack_from(">II" if data[at + 1] & 1 else ">HH", data, at + 4)
    return width, height


def _items(data: Data, meta: Box) -> Items:
    items, locations, idat, properties = Items(), None, 0, []
    for box in boxes(data, meta.start + 4, meta.end):
        if box.kind == b"pitm":
            items.primary = int.from_bytes(
                data[box.start + 4 : box.start + (8 if data[box.start] else 6)], "big"
            )
        elif box.kind == b"iinf":
            items.kinds = dict(_entries(data, box))
        elif box.kind == b"iloc":
            locations = box
        elif box.kind == b"idat":
            idat = box.start
        elif box.kind == b"iref":
            for kind, item, others in _references(data, box):
                if kind == b"dimg":
                    items.tiles[item] = others
                elif kind == b"prem":
                    items.premultiplied.add(item)
        elif box.kind == b"iprp":
            properties = list(boxes(data, box.start, box.end))
    if locations:
        items.extents = dict(_extents(data, locations, idat))
    container = [list(boxes(data, box.start, box.end)) for box in properties if box.kind == b"ipco"]
    for box in properties:
        if box.kind == b"ipma" and container:
            _associate(data, box, container[0], items)
    return items


def _entries(data: Data, iinf: Box) -> Iterator[tuple[int, bytes]]:
    """Item numbers and types (14496-12 §8.11.6)."""
    for box in boxes(data, iinf.start + (8 if data[iinf.start] else 6), iinf.end):
        at, wide = box.start + 4, 4 if data[box.start] == 3 else 2
        yield int.from_bytes(data[at : at + wide], "big"), data[at + wide + 2 : at + wide + 6]


def _references(data: Data, iref: Box) -> Iterator[tuple[bytes, int, list[int]]]:
    """How an item refers to others, as from a derived item to those it is put together from
    (14496-12 §8.11.12)."""
    wide = 4 if data[iref.start] else 2
    for box in boxes(data, iref.start + 4, iref.end):
        numbers = [
            int.from_bytes(data[at : at + wide], "big")
            for at in range(box.start + wide + 2, box.end, wide)
        ]
        yield box.kind, int.from_bytes(data[box.start : box.start + wide], "big"), numbers


def _extents(data: Data, iloc: Box, idat: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Where each item's bytes are, as offset and length in the file (14496-12 §8.11.3)."""
    version, at = data[iloc.start], iloc.start + 4
    packed = int.from_bytes(data[at : at + 2], "big")
    offsets, lengths, bases, indexes = (
        packed >> 12,
        packed >> 8 & 15,
        packed >> 4 & 15,
        packed & 15 if version else 0,
    )

    def take(size: int) -> int:
        nonlocal at
        if at + size > iloc.end:
            raise Damaged("iloc cut off")
        at += size
        return int.from_bytes(data[at - size : at], "big")

    at += 2
    for _ in range(take(4 if version == 2 else 2)):
        item = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        take(2)
        base, found = take(bases) + (idat if method == 1 else 0), []
        for _ in range(take(2)):
            take(indexes)
            found.append((base + take(offsets), take(lengths)))
        yield item, found


def _associate(data: Data, ipma: Box, properties: list[Box], items: Items) -> None:
    """Give the items their properties (14496-12 §8.11.14)."""
    wide, at = 4 if data[ipma.start] else 2, ipma.start + 8
    step = 2 if data[ipma.start + 3] & 1 else 1
    for _ in range(int.from_bytes(data[ipma.start + 4 : at], "big")):
        item, count = int.from_bytes(data[at : at + wide], "big"), data[at + wide]
        at += wide + 1
        if at + count * step > ipma.end:
            raise Damaged("ipma cut off")
        for _ in range(count):
            index = int.from_bytes(data[at : at + step], "big") & (0x7FFF if step == 2 else 0x7F)
            if 0 < index <= len(properties):
                items.properties.setdefault(item, []).append(properties[index - 1])
            at += step


def strip(data: Data) -> bytes:
    """The same file with its Exif and XMP items emptied in place: every offset in it still
    holds."""
    emptied = bytearray(data[:])
    for items in metas(data):
        for item, kind in items.kinds.items():
            if kind not in METADATA:
                continue
            filler = EMPTY_EXIF if kind == b"Exif" else b""
            for at, length in items.extents.get(item, ()):
                length = min(length, len(data) - at)
                emptied[at : at + length] = filler[:length].ljust(
                    length, b"\0" if kind == b"Exif" else b" "
                )
                filler = b""
    return bytes(emptied)
