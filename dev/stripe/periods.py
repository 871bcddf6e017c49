"""The length of a price's period, and the share of it that is left."""

import calendar
from datetime import UTC, datetime

MONTHS = {"month": 1, "year": 12}


def end_of(start: int, interval: str) -> int:
    """Return the time a month or a year after ``start``, in seconds since 1970; in a shorter month
    its last day."""
    moment = datetime.fromtimestamp(start, UTC)
    years, month = divmod(moment.month - 1 + MONTHS[interval], 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def share_left(start: int, end: int, now: int) -> float:
    """Return the share of the period that is left, from 0 to 1."""
    return min(1.0, max(0.0, (end - now) / (end - start)))
