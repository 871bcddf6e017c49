"""File names that come from clients, made harmless: for showing them again, and for unpacking
them."""

import re
import unicodedata

LONGEST_NAME = 255
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
UNNAMED = "unnamed"

IMAGE_EXTENSION = re.compile(
    r"\.(3fr|apng|arw|avif|bmp|cr2|cr3|crw|dib|dng|erf|fff|gif|hei[cf]s?|hif|iiq|j2k|jfif|jif|jp2|jp[eg]|jpeg|jxl|kdc|mef|mos"
    r"|mrw|nef|nrw|orf|pef|png|ptx|raf|raw|rw2|rwl|sr2|srf|srw|svg|tiff?|webp|x3f)$",
    re.IGNORECASE,
)
"""What tells an image's format at the end of a name. Anything else after a dot is part of the
name."""
FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
"""By Windows, in any name."""
DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
"""Names that Windows takes for devices, whatever follows their first dot."""
UNWRITTEN = frozenset({"Zl", "Zp", "Cn"})
"""Line and paragraph separators, and code points without a character, which APFS refuses."""
LONGEST_NUMBER = " (9999999)"


def clean_name(name: str) -> str:
    """A client's file name as it may safely be shown again: no folders, no control or direction
    marks, not endless."""
    base = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        [
            character
            for character in base
            if unicodedata.category(character) not in ("Cc", "Cs")
            and character not in BIDI_CONTROLS
        ]
    )
    return kept[:LONGEST_NAME].strip() or UNNAMED


class Names:
    """The names of files that are to lie in one folder, on Linux, macOS or Windows.

    None leaves its folder, is longer than 255 bytes in UTF-8, or equals another, where upper and
    lower case are the same and an accent may be written in two ways. ``reserved`` names are given
    to nobody.
    """

    def __init__(self, reserved: tuple[str, ...] = ()) -> None:
        # For each name that was given or tried, the number up to which its numbered siblings are
        # taken, too.
        self._taken = {_folded(name): 1 for name in reserved}

    def unique(self, name: str, extension: str) -> str:
        """``name`` of a client's with ``extension`` (no dot) for its own: ``hero.webp``, then
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
    """``name`` without folders, without the extension of an image, and without whatever an
    operating system refuses.

    Short enough for ``extension`` and a number after it.
    """
    # Dots in front hide a file, or make it part of another on macOS; Windows drops them at the end.
    base = clean_name(unicodedata.normalize("NFC", name)).strip(". ")
    stem = FORBIDDEN.sub("_", IMAGE_EXTENSION.sub("", base))
    stem = "".join(
        ["_" if unicodedata.category(character) in UNWRITTEN else character for character in stem]
    )
    if DEVICES.match(stem):
        stem = f"_{stem}"
    return _cut(stem, LONGEST_NAME - len(f"{LONGEST_NUMBER}.{extension}")).rstrip(". ") or UNNAMED


def _cut(text: str, size: int) -> str:
    """The characters that fit into ``size`` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem} ({number})"


def _folded(name: str) -> str:
    """Equal for names that some file system holds for the same."""
    return unicodedata.normalize("NFD", name.casefold())
