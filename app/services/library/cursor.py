"""The orders of asset lists, and cursors: positions in such an order at which the next page
begins."""

import base64
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.errors import BadRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_CURSOR_LENGTH = 2048
"""Characters. A name of 255 four-byte characters with an id and the JSON around them needs
fewer."""
MAX_SIZE = 2**63 - 1


class Sort(StrEnum):
    """The field to sort by; ``-`` means descending. Equal assets are ordered by id in the same
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
    """The position just after the asset ``asset_id``. ``value`` is its upload time, folded name or
    size in bytes."""

    value: datetime | str | int
    asset_id: str


def encode(sort: Sort, place: Place) -> str:
    """A place as URL-safe Base64 without padding; datetimes are microseconds since 1970."""
    value = place.value
    plain = (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
    content = json.dumps([sort, plain, place.asset_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(cursor: str, sort: Sort) -> Place:
    """The place of a cursor. Raises BadRequest for a text that ``encode`` did not write, and for a
    place in another order."""
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
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise ValueError("too long")
    name, value, asset_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    sort = Sort(name)
    place = Place(_value(sort, value), _text(asset_id))
    if encode(sort, place) != cursor:
        raise ValueError("written otherwise")
    return sort, place


def _value(sort: Sort, plain: object) -> datetime | str | int:
    """A value that the database can compare; it refuses integers of more than 64 bits."""
    if sort.field == "name":
        return _text(plain)
    if not isinstance(plain, int) or isinstance(plain, bool):
        raise TypeError("no number")
    if sort.field == "uploadedAt":
        return EPOCH + timedelta(microseconds=plain)
    if not 0 <= plain <= MAX_SIZE:
        raise ValueError("no size")
    return plain


def _text(plain: object) -> str:
    """A text without NUL, which PostgreSQL refuses and no name contains."""
    if not isinstance(plain, str) or "\0" in plain:
        raise TypeError("no text")
    return plain


def _refusal(problem: str) -> BadRequest:
    return BadRequest("The cursor cannot be used.", errors=[f"cursor: {problem}"])
