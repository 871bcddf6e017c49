"""Text as it is searched and sorted: case, accents and compatibility forms don't count.

Whoever changes what ``fold`` gives has to fill the columns anew that hold it, as migration 0011
does: ``assets.search``, ``assets.sort_name``, ``asset_tags.tag``, ``asset_counts.facet``.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

from anyascii import anyascii

MAX_NAME = 255
MAX_TAG = 64
"""Characters of a name and of a tag, and of what is stored of them to sort and to look up."""
DIGEST = 15
NUMBER = re.compile(r"0*([0-9]+)")
NINE = 9


def nfc(text: str, most: int = MAX_NAME) -> str:
    """Names and tags as they are stored: composed, which in rare scripts takes more characters than
    ``most``; those are left out."""
    return unicodedata.normalize("NFC", text)[:most]


def fold(text: str) -> str:
    """The text for which a search is made: ``DÜRER`` and ``Du\u0308rer`` are ``durer``, ``Łódź``
    ``lodz``, ``Straße`` ``strasse``, ``２`` ``2``.

    Letters of other scripts than Latin stay what they are. Their vowel signs stay too, since words
    differ by them. Folding twice gives the same.
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFKD", decomposed)
    return unicodedata.normalize("NFKD", "".join(map(_folded, folded)))


def words_of(text: str) -> list[str]:
    """The folded words of a query, the longest first. One that stands within another is left out:
    it is found with it."""
    words = sorted(set(fold(text).split()), key=lambda word: (-len(word), word))
    return [
        word
        for place, word in enumerate(words)
        if not any(word in longer for longer in words[:place])
    ]


def tag_key(tag: str) -> str:
    """By which a tag is looked up. White space at its ends or doubled doesn't count. A key of a key
    is itself."""
    key = " ".join(fold(tag).split()) or nfc(tag, MAX_TAG)
    if len(key) <= MAX_TAG:
        return key
    return f"{key[: MAX_TAG - DIGEST - 1]}~{sha256(key.encode()).hexdigest()[:DIGEST]}"


def distinct_tags(tags: Iterable[str]) -> list[str]:
    """Tags as they are stored. Of those with one key the first is kept."""
    kept: dict[str, str] = {}
    for tag in tags:
        kept.setdefault(tag_key(tag), nfc(tag, MAX_TAG))
    return list(kept.values())


def search_text(name: str, original_name: str, tags: Iterable[str]) -> str:
    """All text by which an asset is found. Line breaks part what no word reaches across."""
    return "\n".join(map(fold, (name, original_name, *tags)))


def sort_name(name: str) -> str:
    """What names are sorted by, byte by byte: case and accents don't count, and numbers are in the
    order of their size."""
    return NUMBER.sub(_sortable, fold(name))[:MAX_NAME]


def _sortable(number: re.Match[str]) -> str:
    """The digits after their number, so that fewer digits come first: ``7`` is ``17``, ``10`` is
    ``210``. Each nine of it stands for nine digits, and more of it follows."""
    digits = number[1]
    nines, rest = divmod(len(digits), NINE)
    return f"{'9' * nines}{rest}{digits}"


@lru_cache(maxsize=10_000)
def _folded(character: str) -> str:
    if character.isascii():
        return character
    if _is_mark(character):
        return ""
    if unicodedata.name(character, "").startswith("LATIN "):
        return anyascii(character).lower() or character
    return character


def _is_mark(character: str) -> bool:
    """An accent or another mark around a letter, and what cannot be seen: joiners, marks of
    direction, soft hyphens, variants of emoji."""
    mark = unicodedata.combining(character)
    return (
        mark == 1  # across the letter
        or 10 <= mark <= 36  # points of Hebrew, Arabic and Syriac
        or mark >= 200  # above and below
        or unicodedata.category(character) == "Cf"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )
