"""Column types and ids that all tables share."""

import secrets
import string
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

ALPHABET = string.digits + string.ascii_lowercase
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_DIGITS = 9
RANDOM_DIGITS = 15


def new_id(prefix: str, now: datetime) -> str:
    """``<prefix>_`` and 24 of ``0-9a-z``: 9 digits for the milliseconds since 1970 (until the year
    5188) and 15 random digits (77 bits).

    Ids sort by the time they were made, so they also serve as cursors.
    """
    random = secrets.randbelow(36**RANDOM_DIGITS)
    return first_id(prefix, now) + digits_of(random, ALPHABET, RANDOM_DIGITS)


def first_id(prefix: str, moment: datetime) -> str:
    """What all ids that are made from then on follow, and none from before."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return f"{prefix}_{digits_of(milliseconds, ALPHABET, TIME_DIGITS)}"


def digits_of(number: int, alphabet: str, length: int) -> str:
    """The last ``length`` digits of ``number``, to the base of the alphabet's size."""
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return digits


def moment_of(identifier: str) -> datetime:
    """When an id was made, to the millisecond. Raises ValueError for anything that is not an id."""
    return EPOCH + timedelta(milliseconds=int(identifier.rpartition("_")[2][:TIME_DIGITS], 36))


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every database; SQLite itself does not store the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
