"""GIF (GIF89a specification): blocks."""

from collections.abc import Iterator
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
GRAPHIC_CONTROL, APPLICATION = 0xF9, 0xFF
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


class Block(NamedTuple):
    """An image or an extension that takes ``at:end`` of the file; ``label`` is the extension's."""

    kind: int
    label: int
    at: int
    end: int


def _colour_table(flags: int) -> int:
    """The size in bytes of the colour table that a packed field announces."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def blocks(data: Data) -> Iterator[Block]:
    """Blocks up to the trailer. A missing trailer just ends them, stray zeros between them are
    skipped.

    Damaged, or IndexError, where one is cut off or unknown.
    """
    at = 13 + _colour_table(data[10])
    while at < len(data):
        kind, begin = data[at], at
        if not kind:
            at += 1
            continue
        if kind == TRAILER:
            return
        if kind == IMAGE:
            label, at = 0, at + 11 + _colour_table(data[at + 9])
        elif kind == EXTENSION:
            label, at = data[at + 1], at + 2
        else:
            raise Damaged("unknown block")
        while size := data[at]:
            at += size + 1
        at += 1
        yield Block(kind, label, begin, at)


def read_header(data: Data) -> Header:
    """The larger of the logical screen and its frames, and their number."""
    width, height, frames = _u16(data, 6), _u16(data, 8), 0
    for kind, _, at, _ in blocks(data):
        if kind == IMAGE:
            frames += 1
            width = max(width, _u16(data, at + 1) + _u16(data, at + 5))
            height = max(height, _u16(data, at + 3) + _u16(data, at + 7))
    return Header(width, height, frames=frames, lossless=True)


def _u16(data: Data, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def strip(data: Data) -> bytes:
    """The same animation without comments, plain text and any application's data but its loop
    count."""
    kept = bytearray(data[: 13 + _colour_table(data[10])])
    for kind, label, at, end in blocks(data):
        loop = label == APPLICATION and data[at + 3 : at + 14] in LOOPS
        if kind == IMAGE or label == GRAPHIC_CONTROL or loop:
            kept += data[at:end]
    return bytes(kept) + bytes([TRAILER])
