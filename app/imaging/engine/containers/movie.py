"""MP4 and QuickTime movies (ISO/IEC 14496-12; QuickTime File Format): the outermost boxes, without
their tables."""

from collections.abc import Iterator

from app.imaging.engine.containers.header import Damaged, Data

QUICKTIME_BRAND = b"qt  "
# What MP4 writers put first or among the compatible brands (mp4ra.org): any one is enough.
MP4_BRANDS = {
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41",
    b"mp42", b"mp71",
    b"avc1", b"hvc1", b"av01", b"dash", b"msdh", b"msix", b"cmfc", b"M4V ", b"M4VH", b"M4VP",
    b"MSNV", b"XAVC",
}  # fmt: skip
# A QuickTime file from before there were brands begins with one of these.
FIRST = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
NEEDED = {b"moov", b"moof", b"mdat"}


def is_unbranded(data: Data) -> bool:
    """Whether this is a QuickTime file without a file type box: by how it begins, and by a movie
    box anywhere."""
    return data[4:8] in FIRST and any(kind == b"moov" for kind, _ in _parts(data))


def check_complete(data: Data) -> None:
    """Damaged where the movie or its samples reach past the end of the file. Other boxes at
    the end don't matter."""
    if any(kind in NEEDED and end > len(data) for kind, end in _parts(data)):
        raise Damaged("cut off inside a box")


def _parts(data: Data) -> Iterator[tuple[bytes, int]]:
    """Kind and end of each outermost box, up to what can't be one."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:
            size = len(data) - at
        if size < 8:
            return
        at += size
        yield kind, at
