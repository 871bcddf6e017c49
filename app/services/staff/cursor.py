"""Cursors of the console's lists: the place in an order at which the next page begins."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.models.types import EPOCH

MAX_LENGTH = 1024
HIGHEST = 2**63 - 1
"""The largest integer that the databases compare with."""
Value = datetime | str | int | None


class Place(NamedTuple):
    """The position just after the row ``id``, by whose ``value`` the list is sorted; None for rows
    that have no value."""

    value: Value
    id: str


def encode(place: Place) -> str:
    """As URL-safe Base64 without padding."""
    value = place.value
    if isinstance(value, datetime):
        plain: object = {"at": (value - EPOCH) // timedelta(microseconds=1)}
    else:
        plain = value
    content = json.dumps([plain, place.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(text: str, kind: type[datetime] | type[str] | type[int]) -> Place | None:
    """The place of a cursor, whose value is of ``kind`` or None. None for any other text, so that
    the list begins anew."""
    if not text or len(text) > MAX_LENGTH:
        return None
    try:
        plain, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        value = _moment(plain["at"]) if isinstance(plain, dict) else plain
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if not isinstance(row_id, str) or (value is not None and type(value) is not kind):
        return None
    is_kept = not isinstance(value, int) or abs(value) <= HIGHEST
    is_text = "\0" not in row_id and not (isinstance(value, str) and "\0" in value)
    return Place(value, row_id) if is_kept and is_text else None


def _moment(microseconds: int) -> datetime:
    return (EPOCH + timedelta(microseconds=microseconds)).astimezone(UTC)
