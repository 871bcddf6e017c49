"""How long a price's period lasts, and what part of it is left."""

import calendar
from datetime import UTC, datetime

MONTHS = {"month": 1, "year": 12}


def end_of(start: int, interval: str) -> int:
    """A month or a year after ``start``, in seconds since 1970; a shorter month ends with its last
    day."""
    moment = datetime.fromtimestamp(start, UTC)
    years, month = divmod(moment.month - 1 + MONTHS[interval], 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def share_left(start: int, end: int, now: int) -> float:
    """0 to 1."""
    return min(1.0, max(0.0, (end - now) / (end - start)))
