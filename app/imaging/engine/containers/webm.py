"""WebM (RFC 8794 EBML, RFC 9559 Matroska): elements."""

from typing import NamedTuple

from app.imaging.engine.containers.header import Damaged, Data

EBML, DOC_TYPE, SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067


class Element(NamedTuple):
    """An element with its payload at ``start:end``; ``end`` is None where the writer did not know
    it."""

    kind: int
    start: int
    end: int | None


def is_webm(data: Data) -> bool:
    """Whether the document type is ``webm``; any other Matroska has another."""
    head = _element(data, 0)
    at, stop = head.start, min(head.end or 0, len(data))
    while at < stop:
        element = _element(data, at)
        end = element.end or stop
        if element.kind == DOC_TYPE:
            return data[element.start : end].rstrip(b"\0") == b"webm"
        at = end
    return False


def check_complete(data: Data) -> None:
    """Damaged where the segment, if it has a size, reaches past the end of the file."""
    head = _element(data, 0)
    segment = _element(data, head.end or 0)
    if segment.kind != SEGMENT or (segment.end or 0) > len(data):
        raise Damaged("cut off inside the segment")


def _element(data: Data, at: int) -> Element:
    """The element at an offset. Its id keeps the bits that tell its length (RFC 8794 §5), its size
    does not (§6)."""
    width = _width(data, at)
    kind = int.from_bytes(data[at : at + width], "big")
    at += width
    width = _width(data, at)
    unknown = (1 << 7 * width) - 1
    size = int.from_bytes(data[at : at + width], "big") & unknown
    start = at + width
    return Element(kind, start, None if size == unknown else start + size)


def _width(data: Data, at: int) -> int:
    """How many bytes a number has, by its first one. Damaged at the end of the file."""
    if at >= len(data) or not data[at]:
        raise Damaged("no element")
    return 9 - data[at].bit_length()
