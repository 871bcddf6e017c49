"""What the pages with a chart of days have in common: which days, and in which form."""

from datetime import date, timedelta
from urllib.parse import urlencode

from flask import request

from app.services.usage.days import Chart
from app.services.usage.periods import day_of
from app.web.context import now
from app.web.links import in_mode

PERIODS = (30, 90)
"""Days that a chart may show; the first is what it shows unasked."""


def chosen_days() -> int:
    """How many days the query asks for."""
    asked = request.args.get("days", "")
    return next((days for days in PERIODS if str(days) == asked), PERIODS[0])


def window(days: int) -> tuple[date, date]:
    """The last ``days`` days, with today, as first and last day."""
    today = day_of(now())
    return today - timedelta(days=days - 1), today


def bars(chart: Chart) -> list[tuple[str | int, ...]]:
    """The days for the macro ``bars``."""
    return [(f"{day.day} {day:%b}", *values) for day, values in chart.days]


def period_items(days: int, **values: object) -> list[tuple[str, str, bool]]:
    """The links to the other periods, for the macro ``segmented_links``."""
    return [(f"{one} days", query(days=one, **values), one == days) for one in PERIODS]


def query(**values: object) -> str:
    """A query with these values, in the mode of the page."""
    return in_mode(f"?{urlencode(values)}" if values else "") or "?"
