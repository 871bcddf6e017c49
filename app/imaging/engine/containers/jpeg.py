"""JPEG (ITU-T T.81 Annex B): marker segments."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data, Header

SOI, EOI, SOS, DQT, DHT = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
APP1, APP2, APP14, COM = 0xE1, 0xE2, 0xEE, 0xFE
# In entropy-coded data FF is followed by 00 (a stuffed byte) or D0-D7 (a restart): any other byte
# ends the scan.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# The sums of luminance steps which libjpeg and mozjpeg call quality 50: T.81 table K.1, and
# mozjpeg's tables 3 and 5, the latter this service's own. Those are told by their last step, over
# 20 times the first (K.1: 6 times).
STANDARD_SUM, MOZJPEG_SUM, MOZJPEG_RISE = 3685, 5700, 12


class Segment(NamedTuple):
    """A marker with its payload at ``start:end``; for SOS ``end`` is where its entropy-coded data
    ends."""

    marker: int
    at: int
    start: int
    end: int


def segments(data: Data) -> Iterator[Segment]:
    """The segments from SOI to EOI. A missing EOI just ends them: the decoder judges the
    data."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            following = NEXT_MARKER.search(data, at)
            if not following:
                return
            at = following.start()
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == EOI:
            return
        if marker == 0x01 or marker == SOI or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        start, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == SOS:
            following = NEXT_MARKER.search(data, end)
            end = following.start() if following else len(data)
        if end < start:
            raise Damaged("segment shorter than its length")
        yield Segment(marker, at, start, end)
        at = end


def read_header(data: Data) -> Header:
    """Size, scans, quality, subsampling. Damaged where there is no frame, or too little data for
    its blocks."""
    width = height = scans = coded = frame = 0
    quality = subsampled = None
    for marker, _, start, end in segments(data):
        if marker in FRAMES and not frame:
            frame = marker
            height, width = struct.unpack_from(">HH", data, start + 1)
            # Sampling factors of the first component, luma: 1 x 1 where chroma has as many samples.
            subsampled = data[start + 7] != 0x11
        elif marker == SOS:
            scans += 1
            coded += end - start
        elif marker == DQT and quality is None:
            quality = _quality(data[start:end])
    blocks = -(-width // 8) * -(-height // 8)
    # Huffman coding takes at least a bit for each block's mean; subsampled chroma can't make it
    # less than this.
    if frame in HUFFMAN_FRAMES and coded * 8 < blocks // 4:
        raise Damaged("less data than blocks")
    return Header(width, height, scans=scans or 1, quality=quality, subsampled=subsampled)


def _quality(tables: bytes) -> int:
    """libjpeg's quality (jcparam.c) for the first quantisation table of a DQT segment, by the sum
    of its 64 steps."""
    steps: tuple[int, ...] = struct.unpack_from(">64H" if tables[0] >> 4 else ">64B", tables, 1)
    standard = MOZJPEG_SUM if steps[-1] > MOZJPEG_RISE * steps[0] else STANDARD_SUM
    scale = 100 * sum(steps) / standard
    return max(1, min(100, round(5000 / scale if scale > 100 else (200 - scale) / 2)))


def strip(data: Data, *, orientation: int, profile: bytes | None) -> bytes:
    """The same picture, without metadata that does not change its look.

    Adobe's transform flag (APP14) stays, an Exif segment that holds only an ``orientation`` of 2-8,
    and an ICC ``profile``. What follows EOI (gain maps, the second picture of MPO, trailers)
    goes too.
    """
    kept = bytearray(b"\xff\xd8")
    if orientation != 1:
        exif = b"Exif\0\0" + minimal_exif(orientation)
        kept += b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    if profile:
        kept += _profile_segments(profile)
    for marker, at, _, end in segments(data):
        if marker == APP14 or not (0xE0 <= marker <= 0xEF or marker == COM):
            kept += data[at:end]
    return bytes(kept + b"\xff\xd9")


def minimal_exif(orientation: int) -> bytes:
    """A TIFF block whose one entry is Orientation (Exif 2.32 §4.6.4, tag 274)."""
    return (
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0"
    )


def _profile_segments(profile: bytes) -> bytes:
    """An ICC profile as APP2 segments (ICC.1:2022 Annex B.4)."""
    size = 65_519
    parts = [profile[i : i + size] for i in range(0, len(profile), size)]
    segment = bytearray()
    for number, part in enumerate(parts, 1):
        payload = b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part
        segment += b"\xff\xe2" + (len(payload) + 2).to_bytes(2, "big") + payload
    return bytes(segment)
