"""JPEG files whose flaws cost no pixel, written as they should have been.

libjpeg decodes these and warns; it words other warnings alike, of which some mean lost pixels.
With the flaws gone every warning can count (docs/decisions/049).
"""

import re

from app.imaging.engine.containers.header import Damaged, Data
from app.imaging.engine.containers.jpeg import APP14, FRAMES, SOS, Segment, segments

APP0 = 0xE0
SEQUENTIAL = {0xC0, 0xC1, 0xC9}
WHOLE_SPECTRUM = b"\x00\x3f\x00"
"""What a sequential scan says of its coefficients: the first, the last, all of their bits."""
YCC, YCCK = 1, 2
AFTER_THE_LAST_SCAN = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


def mended(data: Data, complaint: str) -> bytes | None:
    """The file without the flaws that libjpeg's ``complaint`` may be about; None if it has none
    that is known to cost no pixel."""
    try:
        parts = list(segments(data))
    except Damaged:
        return None
    rewritten = _rewritten(data, parts)
    if rewritten != data[:]:
        return rewritten
    extra = AFTER_THE_LAST_SCAN.search(complaint)
    if extra and parts and parts[-1].marker == SOS:
        kept = parts[-1].end - int(extra[1])
        return bytes(data[:kept]) + b"\xff\xd9" if kept > parts[-1].start else None
    return None


def _rewritten(data: Data, parts: list[Segment]) -> bytes:
    """SOI, the segments without what lies between them, EOI, and nothing after it."""
    frame, components = _frame(data, parts)
    file = bytearray(b"\xff\xd8")
    for marker, at, start, end in parts:
        size = end - start
        file += data[at:end]
        own = memoryview(file)[len(file) - size :]
        if marker == APP0 and bytes(own[:5]) == b"JFIF\0" and size > 5:
            own[5] = 1  # the only major version there is
        elif marker == APP14 and bytes(own[:5]) == b"Adobe" and size > 11:
            own[11] = _transform(own[11], components)
        elif marker == SOS and frame in SEQUENTIAL:
            last = int.from_bytes(data[at + 2 : at + 4], "big") - 2
            own[last - 3 : last] = WHOLE_SPECTRUM
        own.release()
    return bytes(file + b"\xff\xd9")


def _frame(data: Data, parts: list[Segment]) -> tuple[int, int]:
    """The marker of the first frame, and how many components it has; zeros where there is none."""
    for marker, _, start, end in parts:
        if marker in FRAMES and end > start + 5:
            return marker, data[start + 5]
    return 0, 0


def _transform(declared: int, components: int) -> int:
    """What libjpeg takes an unknown colour transform of Adobe's for (T.872 §6.5.3)."""
    known, usual = {3: ((0, YCC), YCC), 4: ((0, YCCK), YCCK)}.get(components, ((declared,), 0))
    return declared if declared in known else usual
