"""How pages write numbers, moments and names."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.web import formats
from tests.clock import Clock


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "0.98 KB"),
        (199_680, "195 KB"),
        (1_250_000, "1.19 MB"),
        (1023 * 1024 * 1024, "1 GB"),
        (20 * 1024**2, "20 MB"),
        (1024**4, "1 TB"),
        (5000 * 1024**4, "5,000 TB"),
    ],
)
def test_sizes(value: int, written: str) -> None:
    assert formats.size(value) == written


@pytest.mark.parametrize(
    ("cents", "currency", "written"),
    [
        (0, "usd", "$0"),
        (2900, "usd", "$29"),
        (3150, "usd", "$31.50"),
        (123_456_700, "usd", "$1,234,567"),
        (-5, "usd", "−$0.05"),
        (3150, "eur", "31.50 EUR"),
    ],
)
def test_money(cents: int, currency: str, written: str) -> None:
    assert formats.money(cents, currency) == written


def test_numbers_and_shares() -> None:
    assert formats.count(12_480) == "12,480"
    assert formats.percent(71, 100) == "71 %"
    assert formats.percent(1, 0) == "0 %"


def test_days_and_moments() -> None:
    moment = datetime(2026, 11, 24, 16, 5, tzinfo=UTC)
    assert formats.day(moment) == "24 Nov 2026"
    assert formats.exact(moment) == "24 Nov 2026, 16:05 UTC"
    elsewhere = moment.astimezone(timezone(timedelta(hours=2)))
    assert formats.iso(elsewhere) == "2026-11-24T16:05:00Z"
    assert formats.exact(elsewhere) == "24 Nov 2026, 16:05 UTC"


@pytest.mark.parametrize(
    ("ago", "written"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=7, seconds=-1), "6 days ago"),
        (timedelta(seconds=-30), "in less than a minute"),
        (timedelta(hours=-3, seconds=-1), "in 3 hours"),
        (timedelta(days=-2, seconds=-1), "in 2 days"),
    ],
)
def test_moments_of_the_last_and_the_next_week(
    app: Flask, clock: Clock, ago: timedelta, written: str
) -> None:
    with app.app_context():
        assert formats.relative(clock() - ago) == written


def test_moments_farther_away_are_days(app: Flask, clock: Clock) -> None:
    with app.app_context():
        for distance in (timedelta(days=7, seconds=1), timedelta(days=-7)):
            moment = clock() + distance
            assert formats.relative(moment) == formats.day(moment)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Nordlicht Studio", "NS"),
        ("ada@example.com", "A"),
        ("one two three", "OT"),
        ("", "?"),
        ("🔑 keys", "K"),
        ("مفتاح", "م"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert formats.initials(name) == letters


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_what_ends_at_midnight_holds_until_the_day_before(day: date) -> None:
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    assert formats.last_day(end) == day.isoformat()


def test_a_name_has_one_colour() -> None:
    assert formats.hue("user_1") == formats.hue("user_1")
    assert {formats.hue(f"user_{number}") for number in range(100)} == set(range(formats.HUES))
