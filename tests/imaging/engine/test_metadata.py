"""What metadata a file holds."""

import struct
import time
import zlib
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from app.imaging.details import Metadata
from app.imaging.engine import metadata
from app.imaging.engine.containers import exif as exif_container
from app.imaging.engine.files import mapped
from app.imaging.engine.sniff import identify
from app.imaging.errors import ImagingError
from app.imaging.formats import Source
from tests.conftest import CORPUS
from tests.images import encoded, photo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "NIKON CORPORATION", "NIKON D90"
    exif[0x0112], exif[0x0131] = 6, "Capture NX"
    exif[0x013B], exif[0x8298], exif[0x010E] = "Ada", "© Ada".encode(), "A lighthouse"
    exif.get_ifd(0x8769).update({
        0x829A: IFDRational(1, 60), 0x829D: IFDRational(18, 10), 0x8827: 200,
        0x920A: IFDRational(50, 1), 0x9003: "2017:09:05 12:34:56", 0x9011: "+02:00",
        0xA434: "AF-S 50mm", 0x9286: b"ASCII\0\0\0Nice light",
    })  # fmt: skip
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return exif


def read(data: bytes) -> Metadata:
    return metadata.read(data, identify(data))


def saved(format: str, **options: object) -> bytes:
    buffer = BytesIO()
    photo(64, 48).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_is_read_in_every_format(format: str) -> None:
    told = read(saved(format, exif=camera_exif()))
    assert told.camera == "NIKON D90"
    assert told.lens == "AF-S 50mm"
    assert told.exposure == "1/60 s, f/1.8, ISO 200, 50 mm"
    assert told.taken_at == "2017-09-05 12:34 +02:00"
    assert (told.software, told.author, told.copyright) == ("Capture NX", "Ada", "© Ada")
    assert told.comments == ("A lighthouse", "Nice light")
    assert told.has_place
    assert told.orientation == (1 if format == "AVIF" else 6)


def test_the_tags_of_a_tiff_are_its_own() -> None:
    told = read(saved("TIFF", exif=camera_exif()))  # Pillow writes the first directory only
    assert (told.camera, told.orientation, told.author) == ("NIKON D90", 6, "Ada")


def test_profiles_xmp_and_comments() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        assert read(saved(format, icc_profile=srgb)).profile == "sRGB built-in", format
    for format in ("JPEG", "WEBP", "AVIF"):
        assert read(saved(format, xmp=XMP)).has_xmp, format
        assert not read(saved(format, xmp=XMP)).has_place
        assert read(saved(format, xmp=XMP + b"<exif:GPSLatitude>52</exif:GPSLatitude>")).has_place
    assert read(saved("JPEG", comment=b"hello \xff")).comments == ("hello ÿ",)
    assert read(saved("GIF", comment=b"hello")).comments == ("hello",)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "packed", zip=True)
    texts.add_text("Software", "painter")
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    told = read(saved("PNG", pnginfo=texts))
    assert (told.comments, told.software, told.has_xmp) == (("packed",), "painter", True)


def test_iptc_is_noticed() -> None:
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x02\x1c\x02"
    plain = encoded("JPEG", 64, 48)
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    assert read(plain[:2] + segment + plain[2:]).has_iptc
    assert read(plain) == Metadata()


def test_a_file_without_metadata_says_nothing() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        assert read(saved(format)) == Metadata(), format
    assert metadata.read(b"", Source.MP4) == Metadata()


def test_texts_are_one_line_without_controls() -> None:
    exif = Image.Exif()
    exif[0x010F] = ("a\x07b\r\n c\u202e d" + "x" * 500).encode()
    told = read(saved("JPEG", exif=exif))
    assert told.camera.startswith("ab c dxxx")
    assert len(told.camera) <= 200
    assert exif_container.cleaned("ä".encode() * 300).startswith("ää")
    assert exif_container.cleaned(("ä" * 150).encode()[:-1]) == "ä" * 149


def tiff(entries: bytes, count: int, rest: bytes = b"") -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + rest


def one_fraction(tag: int, above: int, below: int) -> bytes:
    return tiff(struct.pack("<HHII", tag, 5, 1, 22), 1, struct.pack("<II", above, below))


def in_jpeg(block: bytes) -> bytes:
    plain, payload = encoded("JPEG", 64, 48), b"Exif\0\0" + block
    return plain[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + plain[2:]


HOSTILE = {
    "points to itself": tiff(struct.pack("<HHII", 34665, 4, 1, 8), 1),
    "gps points to itself": tiff(struct.pack("<HHII", 34853, 4, 1, 8), 1),
    "outside": tiff(struct.pack("<HHII", 271, 2, 2**32 - 1, 2**32 - 1), 1),
    "cut off": tiff(b"\x0f\x01", 65535),
    "a thousand overlapping texts": tiff(struct.pack("<HHII", 271, 2, 60_000, 0) * 5000, 5000),
    "divided by nothing": tiff(struct.pack("<HHII", 33434, 5, 1, 26), 1, b"\0" * 16),
    "tiny fraction": tiff(
        struct.pack("<HHII", 33434, 5, 1, 26), 1, struct.pack("<II", 1, 2**32 - 1)
    ),
    "huge fraction": tiff(
        struct.pack("<HHII", 33437, 5, 1, 26), 1, struct.pack("<II", 2**32 - 1, 1)
    ),
    "unknown type": tiff(struct.pack("<HHII", 271, 99, 1, 0), 1),
    "nothing": b"",
    "no tiff": b"hello, world",
    "big tiff": b"II+\0\x08\0\0\0" + b"\xff" * 100,
}


@pytest.mark.parametrize("block", HOSTILE.values(), ids=HOSTILE)
def test_hostile_exif_is_left_out_at_once(block: bytes) -> None:
    began = time.process_time()
    told = read(in_jpeg(block))
    assert time.process_time() - began < 0.5
    assert all(len(str(getattr(told, one.name))) < 1000 for one in fields(told))
    for cut in range(0, len(block), max(1, len(block) // 20)):
        read(in_jpeg(block[:cut]))


def test_bombs_and_floods_cost_little() -> None:
    bomb = zlib.compress(b"A" * 20_000_000, 9)
    chunks = []
    for kind, body in [(b"iCCP", b"x\0\0" + bomb)] + [(b"zTXt", b"Comment\0\0" + bomb)] * 40:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        chunks.append(len(body).to_bytes(4, "big") + kind + body + crc)
    plain = encoded("PNG", 64, 48)
    began = time.process_time()
    told = read(plain[:33] + b"".join(chunks) + plain[33:])
    assert time.process_time() - began < 2
    assert told.comments == ("A" * 200,)
    many = b"".join(b"\xff\xfe\0\x05" + bytes([65 + n % 26]) * 3 for n in range(20_000))
    plain = encoded("JPEG", 64, 48)
    assert len(read(plain[:2] + many + plain[2:]).comments) == 3


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not beside the project")
def test_the_corpus_is_read_quickly_and_whole() -> None:
    known: dict[str, Metadata] = {}
    for path in sorted(Path(CORPUS).rglob("*.*")):
        try:
            with mapped(path) as data:
                kind = identify(data)
                began = time.process_time()
                known[path.name] = metadata.read(data, kind)
                assert time.process_time() - began < 1, path
        except ImagingError:
            continue
    assert known["exifr__heic-iphone7.heic"].camera == "Apple iPhone 7"
    assert known["exifr__heic-iphone7.heic"].has_place
    assert known["exifr__heic-iphone7.heic"].profile == "Display P3"
    assert known["photokit_0.3.0__test_raw.cr2"].camera == "Canon PowerShot G10"
    assert known["file-type__fixture-sony-zv-e10.arw"].lens == "E PZ 16-50mm F3.5-5.6 OSS"
    assert known["test-assets__denali.webp"].author == "NPS / David Restivo"
