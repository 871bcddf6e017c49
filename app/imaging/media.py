"""Media types as clients declare them, against what a file turns out to be. Needs no decoder."""

from app.imaging.formats import Source
from app.imaging.original import Original

RAW = frozenset(
    f"image/x-{camera}"
    for camera in (
        "adobe-dng", "canon-cr2", "canon-cr3", "canon-crw", "epson-erf", "fuji-raf",
        "hasselblad-3fr",
        "hasselblad-fff", "kodak-dcr", "kodak-k25", "kodak-kdc", "leaf-mos", "leica-rwl",
        "mamiya-mef", "minolta-mrw",
        "nikon-nef", "nikon-nrw", "olympus-orf", "panasonic-raw", "panasonic-rw2", "pentax-pef",
        "phaseone-iiq",
        "samsung-srw", "sigma-x3f", "sony-arw", "sony-sr2", "sony-srf", "raw",
    )
)  # fmt: skip
HEIC = "image/heic"
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/tif": "image/tiff",
    "image/heic-sequence": HEIC,
    "image/heif-sequence": Source.HEIF.mime,
    "image/dng": "image/x-adobe-dng",
    "image/x-dcraw": Source.RAW.mime,
    "video/x-m4v": Source.MP4.mime,
}
CANONICAL = RAW | {HEIC} | {source.mime for source in Source}

BY_EXTENSION = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "image/jpeg"),
    **{source.value: source.mime for source in Source if source is not Source.RAW},
    **{mime.rpartition("-")[2]: mime for mime in sorted(RAW)},
    "apng": Source.PNG.mime, "heic": HEIC, "hif": HEIC, "m4v": Source.MP4.mime,
    "tif": Source.TIFF.mime,
}  # fmt: skip
"""Extension of a file name → media type, for clients that know no better. Content decides."""


def accepted(mime: str) -> str | None:
    """The canonical spelling of a media type that is taken at all, else None; one with parameters
    is not."""
    plain = mime.strip().lower()
    plain = ALIASES.get(plain, plain)
    return plain if plain in CANONICAL else None


def is_video(mime: str) -> bool:
    """Whether this is a video's media type, and one that is taken."""
    return (accepted(mime) or "").startswith("video/")


def matches(declared: str, found: Original) -> bool:
    """Whether a file is what it was declared to be.

    HEIC and HEIF pass for each other, as cameras mix them up. So do all RAW types: the content does
    not always tell which maker's it is.
    """
    canonical = accepted(declared)
    match found.kind:
        case Source.RAW:
            return canonical in RAW
        case Source.HEIF:
            return canonical in (HEIC, Source.HEIF.mime)
    return canonical == found.mime
