import pytest

from app.imaging import UnsupportedImage
from app.imaging.engine.sniff import identify, media_type
from app.imaging.formats import Source
from tests.imaging.samples import corners, encoded


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("JPEG", Source.JPEG),
        ("PNG", Source.PNG),
        ("WEBP", Source.WEBP),
        ("GIF", Source.GIF),
        ("AVIF", Source.AVIF),
        ("TIFF", Source.TIFF),
        ("BMP", Source.BMP),
    ],
)
def test_by_content(kind: str, source: Source) -> None:
    assert identify(encoded(corners(), kind)) is source


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Source.HEIF),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Source.HEIF),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Source.AVIF),
        (b"\0\0\0\x18ftypavis\0\0\0\0avifmsf1", Source.AVIF),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", Source.RAW),
        (b"FUJIFILMCCD-RAW 0201", Source.RAW),
        (b"IIRO\x08\0\0\0", Source.RAW),
        (b"IIU\0\x18\0\0\0", Source.RAW),
        (b"FOVb\0\0\x02\0", Source.RAW),
        (b"\0MRM\0\0\0\0", Source.RAW),
        (b"II\x1a\0\0\0HEAPCCDR", Source.RAW),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", Source.MP4),
        (b"\0\0\0\x18ftypXAVC\0\0\0\0XAVCmp42", Source.MP4),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Source.MOV),
        (b"\0\0\0\x08wide\0\0\0\x08mdat\0\0\0\x08moov", Source.MOV),
        (b"\0\0\0\x08moov", Source.MOV),
        (b"\x1aE\xdf\xa3\x8bB\x86\x81\x01B\x82\x84webm", Source.WEBM),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x08B\x82\x85webm\0", Source.WEBM),
    ],
)
def test_by_signature(head: bytes, source: Source) -> None:
    assert identify(head + bytes(64)) is source


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"BM is how this letter begins, and it is no bitmap.",
        b"\0\0\0\x18ftypXXXX\0\0\0\0YYYYZZZZ" + bytes(64),
        b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + bytes(64),
        b"\0\0\0\x08wide\0\0\0\x08mdat" + bytes(64),
        b"\0\0\0\x01free" + bytes(64),
        b"Be a free moov, and follow no box." + bytes(64),
        b"\x1aE\xdf\xa3\x8bB\x82\x88matroska" + bytes(64),
        b"\x1aE\xdf\xa3\x84B\x86\x81\x01" + bytes(64),
        b"\x1aE\xdf\xa3",
        b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF\x24\0\0\0AVI LIST",
        b"OggS\0\x02" + bytes(64),
        b"\x47@\0\x10" + bytes(184),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\x01" + bytes(64),
        b"SIMPLE  =                    T",
        b"\0\0\x01\0\x01\0" + bytes(64),
        b"\xff\x0a" + bytes(64),
        b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
        b"PK\x03\x04" + bytes(64),
        b"#?RADIANCE\n",
        b"P6\n1 1\n255\nabc",
    ],
)
def test_everything_else_is_unsupported(content: bytes) -> None:
    with pytest.raises(UnsupportedImage) as refusal:
        identify(content)
    assert (refusal.value.status, refusal.value.code) == (422, "unsupported_image")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"8BPS\0\x01", "a Photoshop document"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\xff\x0a", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"%PDF-1.7\n", "a PDF"),
        (
            b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- -->\n<SVG viewBox='0 0 1 1'/>",
            "an SVG drawing",
        ),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"\x1f\x8b\x08", "a gzip file"),
    ],
)
def test_known_formats_are_refused_by_their_name(content: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"This is {name}"):
        identify(content + bytes(64))


@pytest.mark.parametrize("content", [b"a text with <svg> in it", b"<p>not much</p>", b"JXL "])
def test_what_only_looks_like_one_is_not_named(content: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="This is no image"):
        identify(content + bytes(64))


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", "image/heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image/avif"),
        (b"FUJIFILMCCD-RAW 0201", "image/x-raw"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
    ],
)
def test_media_types(head: bytes, mime: str) -> None:
    content = head + bytes(64)
    assert media_type(content, identify(content)) == mime


def test_a_tiff_that_names_a_camera_stays_a_tiff() -> None:
    assert (
        identify(encoded(corners(), "TIFF", tiffinfo={271: "Canon", 272: "Canon EOS 5D"}))
        is Source.TIFF
    )


def test_a_tiff_with_sensor_data_is_raw() -> None:
    photometric = b"\x06\x01\x03\0\x01\0\0\0"
    gray = encoded(corners().convert("L"), "TIFF")
    assert photometric + b"\x01\0" in gray
    assert identify(gray.replace(photometric + b"\x01\0", photometric + b"\x23\x80")) is Source.RAW
