import struct

import pytest

from app.imaging.engine.containers import raw
from app.imaging.engine.containers.header import Damaged


def raf(length: int) -> bytes:
    """A RAF whose sensor data of 100 bytes begins at 108, in a file of ``length`` bytes."""
    head = raw.RAF.ljust(84, b"\0") + struct.pack(">IIIIII", 108, 0, 108, 0, 108, 100)
    return head.ljust(length, b"\0")


def cr3(samples: int, present: int) -> bytes:
    head = b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"
    return head + struct.pack(">I4s", samples + 8, b"mdat") + bytes(present)


def rw2(width: int, height: int, length: int) -> bytes:
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in ((2, height), (3, width), (280, 64))
    )
    return (b"IIU\0\x08\0\0\0\x03\0" + entries + bytes(4)).ljust(length, b"\0")


def x3f(directory: bytes) -> bytes:
    return b"FOVb" + bytes(60) + directory + struct.pack("<I", 64)


COMPLETE = [raf(208), cr3(50, 50), rw2(100, 100, 64 + 10_000), x3f(b"SECd" + bytes(8))]
CUT = [
    raf(207),
    cr3(50, 49),
    rw2(100, 100, 64 + 9_000),
    rw2(0, 0, 500),
    x3f(bytes(12)),
    cr3(8, 8)[:24],
]


@pytest.mark.parametrize("content", COMPLETE)
def test_complete(content: bytes) -> None:
    raw.check_complete(content)


@pytest.mark.parametrize("content", CUT)
def test_cut(content: bytes) -> None:
    with pytest.raises(Damaged):
        raw.check_complete(content)


def test_headerless_goes_by_size() -> None:
    assert raw.is_headerless(bytes(2_247_168))
    assert not raw.is_headerless(bytes(2_247_167))
