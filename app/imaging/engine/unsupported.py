"""What is said of a file that can't be read though nothing is wrong with it: its format's name, or
which variant of a format it is."""

import re

from app.imaging.engine.containers.header import Data
from app.imaging.errors import UNSUPPORTED, UnsupportedImage

SIGNATURES = (
    (b"8BPS", "a Photoshop document (PSD)"),
    (b"gimp xcf", "a GIMP document (XCF)"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"v/1\1", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance picture (HDR)"),
    (b"DDS ", "a DirectDraw texture (DDS)"),
    (b"qoif", "a QOI picture"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
)
TEXTS = (
    (re.compile(rb"<svg[\s>]", re.IGNORECASE), "an SVG drawing"),
    (re.compile(rb"<(!doctype html|html)\b", re.IGNORECASE), "a web page"),
)
LOOKED_AT = 1024
VARIANTS = (
    (
        re.compile(r"(\S+) compression support is not configured", re.IGNORECASE),
        "This TIFF is compressed with {}; save it with LZW, Deflate or no compression.",
    ),
    (
        re.compile("not a whole number of bytes"),
        "This TIFF has samples that are no whole number of bytes, such as 12 bits; save it with 8 "
        "or 16.",
    ),
    (
        re.compile(r"Unsupported JPEG data precision (\d+)"),
        "This JPEG has {} bits a sample; save it with 8.",
    ),
    (
        re.compile(r"Unsupported JPEG process"),
        "This JPEG is of a rare process, such as lossless; save it as a baseline or progressive "
        "JPEG.",
    ),
)


def unknown(data: Data) -> UnsupportedImage:
    """The refusal of a file that is in no supported format, by its first bytes."""
    begins = bytes(data[:LOOKED_AT])
    what = next((name for signature, name in SIGNATURES if begins.startswith(signature)), None)
    if what is None and begins.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        what = next((name for text, name in TEXTS if text.search(begins)), None)
    if what is None:
        return UnsupportedImage(UNSUPPORTED)
    return UnsupportedImage(f"This is {what}, which is not read; send JPEG, PNG or WebP instead.")


def variant(error: Exception) -> UnsupportedImage | None:
    """The refusal of a file whose decoder says that it lacks this variant; None where it says
    anything else."""
    for words, message in VARIANTS:
        if found := words.search(str(error)):
            return UnsupportedImage(message.format(*found.groups()))
    return None
