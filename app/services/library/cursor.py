"""The orders in which assets are listed, and cursors: places in such an order, to go on from."""

import base64
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.errors import BadRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST = 2048
"""Characters; a name of 255 with four bytes each, an id and what is around them make less."""
LARGEST_SIZE = 2**63 - 1


class Sort(StrEnum):
    """By what, and ``-`` for the largest first. Equals are ordered by their id, in the same
    direction."""

    UPLOADED = "uploadedAt"
    UPLOADED_DESC = "-uploadedAt"
    NAME = "name"
    NAME_DESC = "-name"
    SIZE = "size"
    SIZE_DESC = "-size"

    @property
    def field(self) -> str:
        return self.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.startswith("-")


class Place(NamedTuple):
    """Just after the asset ``asset_id``, whose upload, folded name or size in bytes is
    ``value``."""

    value: datetime | str | int
    asset_id: str


def encode(sort: Sort, place: Place) -> str:
    """URL-safe text without padding; moments are microseconds since 1970."""
    value = place.value
    plain = (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
    content = json.dumps([sort, plain, place.asset_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(cursor: str, sort: Sort) -> Place:
    """Raises BadRequest for whatever ``encode`` did not write, and for a place in another order."""
    try:
        written_for, place = _read(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _refusal(
            "is not one that a list gave; take nextCursor as it is, or leave it out to begin anew"
        ) from None
    if written_for != sort:
        raise _refusal(
            f"is from a list with sort={written_for}; ask with that sort, or leave it out to begin "
            "anew"
        )
    return place


def _read(cursor: str) -> tuple[Sort, Place]:
    if len(cursor) > LONGEST:
        raise ValueError("too long")
    name, value, asset_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    sort = Sort(name)
    place = Place(_value(sort, value), _text(asset_id))
    if encode(sort, place) != cursor:
        raise ValueError("written otherwise")
    return sort, place


def _value(sort: Sort, plain: object) -> datetime | str | int:
    """What the database can compare: it refuses numbers past 64 bits."""
    if sort.field == "name":
        return _text(plain)
    if not isinstance(plain, int) or isinstance(plain, bool):
        raise TypeError("no number")
    if sort.field == "uploadedAt":
        return EPOCH + timedelta(microseconds=plain)
    if not 0 <= plain <= LARGEST_SIZE:
        raise ValueError("no size")
    return plain


def _text(plain: object) -> str:
    """PostgreSQL refuses NUL, which no name has anyway."""
    if not isinstance(plain, str) or "\0" in plain:
        raise TypeError("no text")
    return plain


def _refusal(problem: str) -> BadRequest:
    return BadRequest("The cursor cannot be used.", errors=[f"cursor: {problem}"])
