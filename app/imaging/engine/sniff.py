"""Tell a file's format by its content, never by its name, among the formats that are supported."""

from app.imaging.engine.containers import movie, raw, tiff, webm
from app.imaging.engine.containers.header import Damaged, Data
from app.imaging.engine.unsupported import unknown
from app.imaging.formats import Source

TIFF_LIKE = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
HEIF_BRANDS = HEVC_BRANDS | {b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}


def identify(data: Data) -> Source:
    """The format of a whole file, by its first bytes and its structure. UnsupportedImage for any
    other."""
    if data[:3] == b"\xff\xd8\xff":
        return Source.JPEG
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return Source.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Source.WEBP
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Source.GIF
    if raw.is_raw(data):
        return Source.RAW
    if data[:4] in TIFF_LIKE:
        return Source.RAW if tiff.is_raw(data) else Source.TIFF
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    # "BM" alone would take any text that begins so: the four reserved bytes of a bitmap are zero
    # almost everywhere, but its header size is always one of seven.
    if data[:2] == b"BM" and data[15:18] == b"\0\0\0" and len(data) > 26:
        return Source.BMP
    if data[:4] == b"\x1aE\xdf\xa3" and _is_webm(data):
        return Source.WEBM
    if movie.is_unbranded(data):
        return Source.MOV
    if raw.is_headerless(data):
        return Source.RAW
    raise unknown(data)


def media_type(data: Data, kind: Source) -> str:
    """The media type of a file that was identified; HEIF with HEVC inside has one of its own."""
    return "image/heic" if kind is Source.HEIF and _brands(data) & HEVC_BRANDS else kind.mime


def _brands(data: Data) -> set[bytes]:
    """The major and the compatible brands of a file that begins with a file type box (14496-12
    §4.3)."""
    end = min(len(data), int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _iso_media(data: Data) -> Source:
    """By brand: HEIF or AVIF (23008-12 §10), QuickTime, MP4."""
    brands = _brands(data)
    if data[8:12] in AVIF_BRANDS or (data[8:12] not in HEIF_BRANDS and brands & AVIF_BRANDS):
        return Source.AVIF
    if data[8:12] in HEIF_BRANDS or brands & HEIF_BRANDS:
        return Source.AVIF if brands & AVIF_BRANDS and not brands & HEVC_BRANDS else Source.HEIF
    if data[8:12] == movie.QUICKTIME_BRAND:
        return Source.MOV
    if brands & movie.MP4_BRANDS:
        return Source.MP4
    raise unknown(data)


def _is_webm(data: Data) -> bool:
    try:
        return webm.is_webm(data)
    except Damaged:
        return False
