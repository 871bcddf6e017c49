"""The days and months that usage is counted by, in UTC."""

from datetime import UTC, date, datetime, timedelta


def day_of(now: datetime) -> date:
    return now.astimezone(UTC).date()


def period_of(now: datetime) -> date:
    """The calendar month of a moment, as its first day."""
    return day_of(now).replace(day=1)


def next_period(period: date) -> date:
    return (period + timedelta(days=32)).replace(day=1)
