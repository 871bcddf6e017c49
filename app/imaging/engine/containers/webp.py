"""WebP (RFC 9649): RIFF chunks."""

from collections.abc import Iterator
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header
from app.imaging.engine.containers.jpeg import minimal_exif

ANIMATION, XMP, EXIF, ALPHA, ICC = 0x02, 0x04, 0x08, 0x10, 0x20


class RiffChunk(NamedTuple):
    """A chunk with its payload at ``start:end``."""

    kind: bytes
    start: int
    end: int


def chunks(data: Data, at: int = 12, stop: int | None = None) -> Iterator[RiffChunk]:
    """The chunks from ``at`` to ``stop``, of the whole file unless told. Damaged where one reaches
    past it."""
    stop = min(len(data), 8 + int.from_bytes(data[4:8], "little")) if stop is None else stop
    while at + 8 <= stop:
        start = at + 8
        end = start + int.from_bytes(data[at + 4 : start], "little")
        if end > stop:
            raise Damaged("cut off inside a chunk")
        yield RiffChunk(data[at : at + 4], start, end)
        at = end + (end & 1)


def read_header(data: Data) -> Header:
    """Canvas and frames; the larger of the canvas and any one bitstream, as a decoder allocates
    either."""
    width = height = frames = 0
    lossless = True
    for kind, start, end in chunks(data):
        if kind == b"VP8X":
            width, height = (
                max(width, _u24(data, start + 4) + 1),
                max(height, _u24(data, start + 7) + 1),
            )
        elif kind == b"ANMF":
            frames += 1
            inner = chunks(data, start + 16, end)
        elif kind in (b"VP8 ", b"VP8L"):
            inner = iter([RiffChunk(kind, start, end)])
        else:
            continue
        if kind != b"VP8X":
            for part in inner:
                across, down = _bitstream_size(data, part)
                width, height = max(width, across), max(height, down)
                lossless = lossless and part.kind != b"VP8 "
    return Header(width, height, frames=frames or 1, lossless=lossless)


def _bitstream_size(data: Data, part: RiffChunk) -> tuple[int, int]:
    """Width and height of a VP8 key frame (RFC 6386 §9.1) or a VP8L stream (RFC 9649 §3.4); 0 x 0
    for other chunks."""
    start = part.start
    if part.kind == b"VP8 ":
        return (
            int.from_bytes(data[start + 6 : start + 8], "little") & 0x3FFF,
            int.from_bytes(data[start + 8 : start + 10], "little") & 0x3FFF,
        )
    if part.kind == b"VP8L":
        bits = int.from_bytes(data[start + 1 : start + 5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 0, 0


def _u24(data: Data, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def strip(data: Data, *, orientation: int, keep_profile: bool) -> bytes:
    """The same picture without XMP, Exif (but an ``orientation`` of 2-8), unknown chunks and a
    needless ICC profile."""
    pictures = (b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L") + ((b"ICCP",) if keep_profile else ())
    parts = list(chunks(data))
    dropped = EXIF | XMP | (0 if keep_profile else ICC)
    body = bytearray()
    for kind, start, end in parts:
        if kind == b"VP8X":
            flags = data[start] & ~dropped | (EXIF if orientation != 1 else 0)
            # Without any feature VP8X says nothing: the simple format is the same picture in 18
            # bytes fewer.
            if flags & (ANIMATION | ALPHA | ICC | EXIF):
                body += _chunk(kind, bytes([flags]) + data[start + 1 : end])
        elif kind in pictures:
            body += _chunk(kind, data[start:end])
    if orientation != 1:
        body += _chunk(b"EXIF", minimal_exif(orientation))
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + bytes(body)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(4, "little") + payload + b"\0" * (len(payload) & 1)
