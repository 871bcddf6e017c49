"""What metadata a file holds: found by its structure, without a decoder. What is broken is left
out."""

import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from app.imaging.details import Metadata
from app.imaging.engine.containers import exif, gif, heif, icc, jpeg, png, raw, webp
from app.imaging.engine.containers.exif import Exif, cleaned
from app.imaging.engine.containers.header import Damaged, Data
from app.imaging.formats import Source

MOST = 1 << 20
"""Bytes of one piece of metadata that are looked at."""
MAX_PIECES = 20
"""Texts, Exif blocks and items of a file that are looked at."""
MAX_COMMENTS = 3
XMP_HEAD, IPTC_HEAD = b"http://ns.adobe.com/", b"Photoshop 3.0\0"
EXIF_HEAD, ICC_HEAD = b"Exif\0\0", b"ICC_PROFILE\0"
XMP_MARK = re.compile(rb"xmpmeta|rdf:RDF|ns\.adobe\.com/xap")
PLACE_IN_XMP = b"GPSLatitude"
GIF_COMMENT, GIF_XMP = 0xFE, b"XMP DataXMP"
PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
"""Colour spaces that HEIF and AVIF give as code points (H.273)."""
CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
UPRIGHT_KINDS = (Source.HEIF, Source.AVIF)
"""Formats that turn their pictures otherwise: their Exif's orientation only repeats it."""
MOMENT = re.compile(r"([12]\d{3}):(\d\d):(\d\d) (\d\d):(\d\d)")
UTC_OFFSET = re.compile(r"[+-]\d\d:\d\d")


@dataclass
class Pieces:
    """The pieces of metadata of a file, as they were found."""

    exifs: list[Exif] = field(default_factory=list)
    xmp: bytes | None = None
    iptc: bool = False
    profile: bytes = b""
    profile_name: str = ""
    comments: list[bytes | str] = field(default_factory=list)
    software: bytes | str = b""
    author: bytes | str = b""
    copyright: bytes | str = b""


def read(data: Data, kind: Source) -> Metadata:
    """The metadata of a file of this format; of videos nothing is read. Raises nothing for what is
    broken."""
    pieces = Pieces()
    try:
        if kind in FINDERS:
            FINDERS[kind](data, pieces)
    except (Damaged, IndexError, ValueError, struct.error, zlib.error):
        pass  # what was found before the broken part stays
    return _told(pieces, kind)


def _told(pieces: Pieces, kind: Source) -> Metadata:
    exifs = [*pieces.exifs, Exif()]

    def text(tag: int) -> str:
        return next((found for one in exifs if (found := one.text(tag))), "")

    def number(tag: int) -> float | None:
        return next((found for one in exifs if (found := one.number(tag))), None)

    comments = [text(exif.DESCRIPTION), _user_comment(exifs), *map(cleaned, pieces.comments)]
    turned = number(exif.ORIENTATION) if kind not in UPRIGHT_KINDS else None
    return Metadata(
        camera=_camera(text(exif.MAKE), text(exif.MODEL)),
        lens=text(exif.LENS),
        exposure=_exposure(number),
        taken_at=_taken_at(text(exif.TAKEN), text(exif.OFFSET)),
        software=text(exif.SOFTWARE) or cleaned(pieces.software),
        author=text(exif.ARTIST) or cleaned(pieces.author),
        copyright=text(exif.COPYRIGHT) or cleaned(pieces.copyright),
        profile=cleaned(icc.name_of(pieces.profile)) or cleaned(pieces.profile_name),
        orientation=int(turned) if turned and turned in range(1, 9) else 1,
        has_place=any(one.has_place for one in exifs) or PLACE_IN_XMP in (pieces.xmp or b""),
        has_xmp=pieces.xmp is not None,
        has_iptc=pieces.iptc,
        comments=tuple(dict.fromkeys(filter(None, comments)))[:MAX_COMMENTS],
    )


def _camera(make: str, model: str) -> str:
    """Model with its maker, whom many models name already."""
    named = make and model.lower().startswith(make.split()[0].lower())
    return model if named else f"{make} {model}".strip()


def _exposure(number: Callable[[int], float | None]) -> str:
    parts = []
    if seconds := number(exif.EXPOSURE_TIME):
        fraction = seconds < 0.4 and 1 / seconds < 1e6
        parts.append(f"1/{1 / seconds:.0f} s" if fraction else f"{seconds:.3g} s")
    if stop := number(exif.F_NUMBER):
        parts.append(f"f/{stop:.3g}")
    if iso := number(exif.ISO):
        parts.append(f"ISO {iso:.0f}")
    if length := number(exif.FOCAL_LENGTH):
        parts.append(f"{length:.3g} mm")
    return ", ".join(parts)


def _taken_at(moment: str, offset: str) -> str:
    found = MOMENT.match(moment)
    if not found:
        return ""
    zone = f" {offset}" if UTC_OFFSET.fullmatch(offset) else ""
    return "{}-{}-{} {}:{}".format(*found.groups()) + zone


def _user_comment(exifs: list[Exif]) -> str:
    """A comment after the eight bytes that name its character code (CIPA DC-008 §4.6.5)."""
    for one in exifs:
        code, text = (found := one.raw(exif.USER_COMMENT, 1000))[:8], found[8:]
        if code[:7] == b"UNICODE":
            order = "utf-16-le" if one.order == "<" else "utf-16-be"
            return cleaned(text.decode(order, errors="ignore").partition("\0")[0])
        if code[:5] == b"ASCII":
            return cleaned(text)
    return ""


def _add_exif(pieces: Pieces, block: bytes) -> None:
    if len(pieces.exifs) < MAX_PIECES:
        pieces.exifs.append(exif.read(block.removeprefix(EXIF_HEAD)))


def _add_comment(pieces: Pieces, text: bytes) -> None:
    if len(pieces.comments) < MAX_PIECES:
        pieces.comments.append(text[:1000])


def _in_jpeg(data: Data, pieces: Pieces, at: int = 0, stop: int | None = None) -> None:
    if at or stop is not None:
        data = bytes(data[at:stop])
    for marker, _, start, end in jpeg.segments(data):
        if marker == jpeg.SOS:
            return
        if marker == jpeg.COM:
            _add_comment(pieces, bytes(data[start:end]))
        elif marker == jpeg.APP1 and data[start : start + 6] == EXIF_HEAD:
            _add_exif(pieces, bytes(data[start:end]))
        elif marker == jpeg.APP1 and data[start : start + 20] == XMP_HEAD:
            pieces.xmp = (pieces.xmp or b"")[:MOST] + data[start:end]
        elif marker == jpeg.APP2 and data[start : start + 12] == ICC_HEAD:
            if len(pieces.profile) < MOST:
                pieces.profile += data[start + 14 : end]
        elif data[start : start + 14] == IPTC_HEAD:
            pieces.iptc = b"8BIM\x04\x04" in data[start:end]


def _in_png(data: Data, pieces: Pieces) -> None:
    texts = 0
    for kind, at, end in png.chunks(data):
        body = data[at + 8 : min(end - 4, at + 8 + MOST)]
        if kind == b"eXIf":
            _add_exif(pieces, body)
        elif kind == b"iCCP":
            name, _, packed = body.partition(b"\0")
            pieces.profile_name = name.decode("latin-1")
            with suppress(zlib.error):
                pieces.profile = _unpacked(packed[1:])
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and texts < MAX_PIECES:
            texts += 1
            _png_text(pieces, kind, body)


def _png_text(pieces: Pieces, kind: bytes, body: bytes) -> None:
    keyword, _, text = body.partition(b"\0")
    if kind == b"zTXt":
        text = _unpacked(text[1:])
    elif kind == b"iTXt":
        is_packed, rest = text[:1] == b"\1", text[2:].split(b"\0", 2)
        text = _unpacked(rest[-1]) if is_packed else rest[-1]
    match keyword:
        case b"XML:com.adobe.xmp" | b"Raw profile type xmp":
            pieces.xmp = text
        case b"Raw profile type iptc":
            pieces.iptc = True
        case b"Raw profile type exif" | b"Raw profile type APP1":
            digits = b"".join(text.split()[2:])
            _add_exif(pieces, bytes.fromhex(digits.decode("ascii")))
        case b"Software":
            pieces.software = text
        case b"Author":
            pieces.author = text
        case b"Copyright":
            pieces.copyright = text
        case b"Comment" | b"Description" | b"Title":
            _add_comment(pieces, text)


def _unpacked(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, MOST)


def _in_webp(data: Data, pieces: Pieces) -> None:
    for kind, start, end in webp.chunks(data):
        body = bytes(data[start : min(end, start + MOST)]) if kind in WEBP_KINDS else b""
        if kind == b"EXIF":
            _add_exif(pieces, body)
        elif kind == b"XMP ":
            pieces.xmp = body
        elif kind == b"ICCP":
            pieces.profile = body


WEBP_KINDS = (b"EXIF", b"XMP ", b"ICCP")


def _in_gif(data: Data, pieces: Pieces) -> None:
    for kind, label, at, end in gif.blocks(data):
        if kind == gif.EXTENSION and label == GIF_COMMENT:
            _add_comment(pieces, bytes(data[at + 3 : at + 3 + data[at + 2]]))
        elif label == gif.APPLICATION and data[at + 3 : at + 14] == GIF_XMP:
            pieces.xmp = bytes(data[at + 14 : min(end, at + MOST)])


def _in_heif(data: Data, pieces: Pieces) -> None:
    for items in heif.metas(data):
        for box in items.properties.get(items.primary, ()):
            if box.kind == b"colr" and data[box.start : box.start + 4] in (b"prof", b"rICC"):
                pieces.profile = bytes(data[box.start + 4 : min(box.end, box.start + MOST)])
        wanted = [item for item, kind in items.kinds.items() if kind in heif.METADATA]
        for item in wanted[:MAX_PIECES]:
            for at, length in items.extents.get(item, ())[:1]:
                kind = items.kinds[item]
                _heif_item(pieces, kind, bytes(data[at : at + min(length, MOST)]))
    if nclx := heif.read_nclx(data):
        pieces.profile_name = PRIMARIES.get(nclx.primaries, "")


def _heif_item(pieces: Pieces, kind: bytes, body: bytes) -> None:
    """Exif begins with the offset of its TIFF header (23008-12 §A.2.1)."""
    if kind == b"Exif":
        _add_exif(pieces, body[4 + int.from_bytes(body[:4], "big") :])
    elif XMP_MARK.search(body):
        pieces.xmp = body


def _in_tiff(data: Data, pieces: Pieces) -> None:
    found = exif.read(data)
    pieces.exifs.append(found)
    pieces.profile = found.raw(exif.PROFILE, MOST)
    pieces.iptc = bool({exif.IPTC, exif.PHOTOSHOP} & found.entries.keys())
    if exif.XMP in found.entries:
        pieces.xmp = found.raw(exif.XMP, MOST)


def _in_raw(data: Data, pieces: Pieces) -> None:
    if data[:16] == raw.RAF:
        at, length = struct.unpack_from(">II", data, 84)
        _in_jpeg(data, pieces, at, at + min(length, MOST))
    elif data[4:12] == b"ftypcrx ":
        _in_cr3(data, pieces)
    elif data[6:14] != raw.CRW:
        _in_tiff(data, pieces)


def _in_cr3(data: Data, pieces: Pieces) -> None:
    """Canon keeps TIFF structures in boxes CMT1 (camera), CMT2 (Exif) and CMT4 (place)."""
    for movie in heif.boxes(data, 0, len(data)):
        if movie.kind != b"moov":
            continue
        for box in heif.boxes(data, movie.start, movie.end):
            if box.kind == b"uuid" and data[box.start : box.start + 16] == CANON_UUID:
                for part in heif.boxes(data, box.start + 16, box.end):
                    if part.kind in (b"CMT1", b"CMT2", b"CMT4"):
                        end = min(part.end, part.start + MOST)
                        _add_exif(pieces, bytes(data[part.start : end]))
        return


FINDERS: dict[Source, Callable[[Data, Pieces], None]] = {
    Source.JPEG: _in_jpeg,
    Source.PNG: _in_png,
    Source.WEBP: _in_webp,
    Source.GIF: _in_gif,
    Source.HEIF: _in_heif,
    Source.AVIF: _in_heif,
    Source.TIFF: _in_tiff,
    Source.RAW: _in_raw,
}
