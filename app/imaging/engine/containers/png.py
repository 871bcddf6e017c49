"""PNG (W3C PNG third edition): chunks."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header
from app.imaging.engine.containers.jpeg import minimal_exif

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The look of the picture depends on these and on nothing else. Animation (APNG) is not among
# them.
KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"}


class PngChunk(NamedTuple):
    """A chunk that takes ``at:end`` of the file, its length, type and CRC included."""

    kind: bytes
    at: int
    end: int


def chunks(data: Data) -> Iterator[PngChunk]:
    """All chunks through IEND. Damaged where one reaches past the end of the file, or IEND is
    missing."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        yield PngChunk(kind, at, end)
        if kind == b"IEND":
            return
        at = end
    raise Damaged("cut off inside a chunk")


def read_header(data: Data) -> Header:
    """Size by IHDR; the chunks are walked, so that a file that was cut off is refused here."""
    kinds = [chunk.kind for chunk in chunks(data)]
    if kinds[0] != b"IHDR":
        raise Damaged("no IHDR")
    return Header(
        int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), lossless=True
    )


def strip(data: Data, *, orientation: int) -> bytes:
    """The same picture with only what decides its look, and an eXIf that holds an ``orientation``
    of 2-8."""
    kept = bytearray(SIGNATURE)
    for kind, at, end in chunks(data):
        if kind in KEPT:
            kept += data[at:end]
        if kind == b"IHDR" and orientation != 1:
            kept += _chunk(b"eXIf", minimal_exif(orientation))
    return bytes(kept)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(4, "big")
        + kind
        + payload
        + zlib.crc32(kind + payload).to_bytes(4, "big")
    )
