"""Clients' file names, made safe to show and to unpack."""

import re
import unicodedata

MAX_NAME_LENGTH = 255
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
UNNAMED = "unnamed"

IMAGE_EXTENSION = re.compile(
    r"\.(3fr|apng|arw|avif|bmp|cr2|cr3|crw|dib|dng|erf|fff|gif|hei[cf]s?|hif|iiq|j2k|jfif|jif|jp2|jp[eg]|jpeg|jxl|kdc|mef|mos"
    r"|mrw|nef|nrw|orf|pef|png|ptx|raf|raw|rw2|rwl|sr2|srf|srw|svg|tiff?|webp|x3f)$",
    re.IGNORECASE,
)
"""The extensions of image formats. Anything else after a dot is part of the name."""
FORBIDDEN_CHARACTERS = re.compile(r'[<>:"/\\|?*]')
"""Characters that Windows forbids in any name."""
DEVICE_NAMES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
"""Names that Windows reserves for devices, with any extension."""
UNWRITTEN = frozenset({"Zl", "Zp", "Cn"})
"""Line and paragraph separators, and unassigned code points, which APFS refuses."""
LONGEST_SUFFIX = " (9999999)"


def clean_name(name: str) -> str:
    """A client's file name, safe to show: without folders, control characters and direction marks,
    and at most 255 characters long."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return without_controls(base)[:MAX_NAME_LENGTH].strip() or UNNAMED


def has_controls(text: str) -> bool:
    """Whether a text holds control characters or halves of surrogate pairs."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def without_controls(text: str) -> str:
    """The text without control characters and direction marks, safe to show on one line."""
    kept = [
        character
        for character in text
        if not has_controls(character) and character not in BIDI_CONTROLS
    ]
    return "".join(kept)


def one_line(text: str) -> str:
    """A typed text on one line: with single spaces, without control characters and direction
    marks."""
    return " ".join(without_controls(" ".join(text.split())).split())


class Names:
    """The names of files that will be in one folder on Linux, macOS or Windows.

    No name leads out of its folder, is longer than 255 bytes in UTF-8, or equals another name when
    case and Unicode normalisation are ignored. ``reserved`` names are not given to any file.
    """

    def __init__(self, reserved: tuple[str, ...] = ()) -> None:
        # Maps each name that was given or tried to the number up to which its numbered variants are
        # taken.
        self._taken = {_folded(name): 1 for name in reserved}

    def unique(self, name: str, extension: str) -> str:
        """A client's ``name`` with ``extension`` (no dot) instead of its own: ``hero.webp``, then
        ``hero (2).webp``."""
        stem, suffix = _stem_of(name, extension), f".{extension}"
        first = _folded(stem + suffix)
        number = self._taken.get(first, 0) + 1
        while _folded(unique := _numbered(stem, number) + suffix) in self._taken:
            number += 1
        self._taken[_folded(unique)] = 1
        self._taken[first] = number
        return unique


def _stem_of(name: str, extension: str) -> str:
    """``name`` without folders, without an image extension, and without characters that an
    operating system refuses.

    It leaves room for a number and ``extension``.
    """
    # Leading dots hide a file, or attach it to another file on macOS; Windows drops trailing dots.
    base = clean_name(unicodedata.normalize("NFC", name)).strip(". ")
    stem = FORBIDDEN_CHARACTERS.sub("_", IMAGE_EXTENSION.sub("", base))
    stem = "".join(
        ["_" if unicodedata.category(character) in UNWRITTEN else character for character in stem]
    )
    if DEVICE_NAMES.match(stem):
        stem = f"_{stem}"
    return (
        _cut(stem, MAX_NAME_LENGTH - len(f"{LONGEST_SUFFIX}.{extension}")).rstrip(". ") or UNNAMED
    )


def _cut(text: str, size: int) -> str:
    """The characters that fit into ``size`` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem} ({number})"


def _folded(name: str) -> str:
    """A key that is equal for names that some file system treats as the same."""
    return unicodedata.normalize("NFD", name.casefold())
