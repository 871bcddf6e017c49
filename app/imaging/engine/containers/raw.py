"""Camera RAW: recognise it by its structure, and check that it is complete.

LibRaw also "reads" files that were cut off, as black or garbled pictures, so completeness is
checked here: TIFF-based formats by all their directories, the others by their own tables of
offsets.
"""

import struct

from app.imaging.engine.containers import heif, tiff
from app.imaging.engine.containers.header import Damaged, Data

RAF, X3F, MRW, CRW = b"FUJIFILMCCD-RAW ", b"FOVb", b"\0MRM", b"HEAPCCDR"
# Cameras that wrote nothing but samples; LibRaw knows them by the size in bytes (its
# identify_finetune_by_filesize).
HEADERLESS = {2_247_168: "Kodak EasyShare C330", 3_370_752: "Kodak EasyShare C330"}
# Panasonic's densest packing: 14 samples in 16 bytes.
RW2_SAMPLES, RW2_BYTES = 14, 16


def is_raw(data: Data) -> bool:
    """Whether this is a RAW that is not TIFF-based (for those: ``tiff.is_raw``)."""
    return (
        data[:16] == RAF or data[:4] in (X3F, MRW) or data[6:14] == CRW or data[4:12] == b"ftypcrx "
    )


def is_headerless(data: Data) -> bool:
    """Whether this may be one of the RAW formats without any signature. Ask only when nothing else
    matches."""
    return len(data) in HEADERLESS


def check_complete(data: Data) -> None:
    """Damaged where a part that the file itself announces is not in it."""
    if data[:16] == RAF:
        _check_raf(data)
    elif data[4:12] == b"ftypcrx ":
        _check_cr3(data)
    elif data[:4] == X3F:
        if data[struct.unpack_from("<I", data, len(data) - 4)[0] :][:4] != b"SECd":
            raise Damaged("no directory")
    elif data[:4] == b"IIU\0":
        _check_rw2(data)
    elif data[:2] in (b"II", b"MM") and data[6:14] != CRW:
        tiff.check_complete(data)


def _check_raf(data: Data) -> None:
    """Three pairs of offset and length from byte 84: JPEG, sensor's directory, sensor data."""
    for at in (84, 92, 100):
        offset, length = struct.unpack_from(">II", data, at)
        if offset + length > len(data):
            raise Damaged("a part reaches past the file")


def _check_cr3(data: Data) -> None:
    """All top-level boxes, the samples in mdat among them; walking them raises where one is cut."""
    if b"mdat" not in [box.kind for box in heif.boxes(data, 0, len(data))]:
        raise Damaged("no samples")


def _check_rw2(data: Data) -> None:
    """Panasonic gives an offset (tag 280, RawDataOffset) but often no count: the least the samples
    can take."""
    directory = next(tiff.directories(data))
    offset = directory.first(280) or directory.first(tiff.STRIP_OFFSETS)
    samples = directory.first(2) * directory.first(3)
    if not samples or offset + samples * RW2_BYTES // (RW2_SAMPLES + 2) > len(data):
        raise Damaged("samples are missing")
