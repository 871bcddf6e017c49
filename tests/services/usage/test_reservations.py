"""The ledger: N parallel requests never pass the limit, and nothing is counted twice or lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.config import Settings
from app.errors import DependencyDown, QuotaExceeded, RateLimited
from app.extensions import transaction
from app.models import DailyCounter, EntryState, UsageCounter, UsageEntry
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.sweep import sweep
from app.services.usage import limits, periods, reservations
from tests.clock import Clock
from tests.conftest import AccountMaker
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


@pytest.fixture
def principal(context: None, make_account: AccountMaker, clock: Clock) -> Principal:
    return keys.authenticate(make_account(plan="FREE").key, clock())


def reserve(
    principal: Principal, images: int, now: datetime, reference: str | None = None
) -> reservations.Reservation:
    with transaction(principal.org_id) as session:
        return reservations.reserve(session, principal, "compress", images, now, reference)


def settle(principal: Principal, reservation: reservations.Reservation, images: int) -> None:
    with transaction(principal.org_id) as session:
        reservations.settle(session, reservation, images)


def web_threads(app: Flask) -> int:
    """As many as a server has. The pool holds a connection for each: more would wait for one."""
    settings: Settings = app.extensions["lightwell"].settings
    return settings.web_threads


def month(principal: Principal, now: datetime) -> limits.Summary:
    with transaction(principal.org_id) as session:
        return limits.summarise(session, principal, now)


def test_sixty_four_parallel_requests_never_pass_the_limit(
    app: Flask, principal: Principal, clock: Clock
) -> None:
    """Each wants 3 of 100 and processes 2: exactly what was processed is left counted."""

    def request(_: int) -> int:
        with app.app_context():
            try:
                reservation = reserve(principal, 3, clock())
            except QuotaExceeded:
                return 0
            settle(principal, reservation, 2)
            return 2

    with ThreadPoolExecutor(web_threads(app)) as threads:
        processed = sum(threads.map(request, range(64)))
    summary = month(principal, clock())
    assert summary.used == processed <= 100
    assert summary.remaining == 100 - processed
    assert processed >= 64


def test_reservations_hold_the_limit_while_work_runs(principal: Principal, clock: Clock) -> None:
    first = reserve(principal, 60, clock())
    with pytest.raises(QuotaExceeded):
        reserve(principal, 41, clock())
    second = reserve(principal, 40, clock())
    assert month(principal, clock()).used == 0
    assert month(principal, clock()).remaining == 0
    settle(principal, first, 10)
    settle(principal, second, 40)
    assert (month(principal, clock()).used, month(principal, clock()).remaining) == (50, 50)


def test_settling_or_releasing_twice_changes_nothing(principal: Principal, clock: Clock) -> None:
    reservation = reserve(principal, 5, clock())
    settle(principal, reservation, 5)
    with pytest.raises(DependencyDown):
        settle(principal, reservation, 5)
    with transaction(principal.org_id) as session:
        reservations.release(session, reservation)
    assert (month(principal, clock()).used, month(principal, clock()).remaining) == (5, 95)
    with pytest.raises(ValueError):
        settle(principal, reserve(principal, 1, clock()), 2)


def test_the_sweep_gives_back_what_a_crash_left(
    app: Flask, principal: Principal, clock: Clock, tmp_path: Path
) -> None:
    reservation = reserve(principal, 7, clock())
    storage = app.extensions["lightwell"].storage
    assert sweep(storage, tmp_path, clock())["reservations"] == 0
    clock.advance(minutes=6)
    assert sweep(storage, tmp_path, clock())["reservations"] >= 1
    assert month(principal, clock()).remaining == 100
    with pytest.raises(DependencyDown):
        settle(principal, reservation, 7)
    assert month(principal, clock()).used == 0


def test_a_full_month_looks_for_crashed_requests_by_itself(
    principal: Principal, clock: Clock
) -> None:
    reserve(principal, 100, clock())
    clock.advance(minutes=6)
    reserve(principal, 100, clock())


def test_a_heartbeat_keeps_long_work_alive(
    app: Flask, principal: Principal, clock: Clock, tmp_path: Path
) -> None:
    reservation = reserve(principal, 7, clock())
    clock.advance(minutes=4)
    with transaction(principal.org_id) as session:
        reservations.extend(session, reservation, clock())
    clock.advance(minutes=4)
    sweep(app.extensions["lightwell"].storage, tmp_path, clock())
    settle(principal, reservation, 7)
    assert month(principal, clock()).used == 7


def test_a_named_request_pays_once(principal: Principal, clock: Clock) -> None:
    settle(principal, reserve(principal, 4, clock(), "order"), 4)
    again = reserve(principal, 4, clock(), "order")
    assert again.already_paid
    settle(principal, again, 4)
    assert month(principal, clock()).used == 4


def test_a_named_request_that_never_ended_starts_over(principal: Principal, clock: Clock) -> None:
    abandoned = reserve(principal, 4, clock(), "order")
    settle(principal, reserve(principal, 4, clock(), "order"), 4)
    with pytest.raises(DependencyDown):
        settle(principal, abandoned, 4)
    assert (month(principal, clock()).used, month(principal, clock()).remaining) == (4, 96)


def test_work_over_midnight_counts_where_it_was_reserved(
    principal: Principal, clock: Clock
) -> None:
    clock.set(datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC))
    reservation = reserve(principal, 2, clock())
    clock.set(datetime(2026, 7, 1, 0, 0, 5, tzinfo=UTC))
    settle(principal, reservation, 2)
    assert month(principal, clock()).used == 0
    assert month(principal, datetime(2026, 6, 30, tzinfo=UTC)).used == 2


@pytest.fixture
def tester(context: None, make_account: AccountMaker, clock: Clock) -> Principal:
    """A test key of an organization whose test keys may make 100 images a day."""
    return keys.authenticate(make_account(plan="FREE").test_key, clock(), test_images=100)


def today(tester: Principal, now: datetime) -> tuple[int, int]:
    """What the organization's test keys made, and what they have in work."""
    with transaction(tester.org_id) as session:
        row = session.scalar(select(DailyCounter).where(DailyCounter.period == now.date()))
        return (row.used, row.reserved) if row else (0, 0)


def test_sixty_four_parallel_test_requests_never_pass_the_days_limit(
    app: Flask, tester: Principal, clock: Clock
) -> None:
    """Each wants 3 of 100; every fifth fails."""

    def request(number: int) -> int:
        with app.app_context():
            try:
                reservation = reserve(tester, 3, clock())
            except RateLimited:
                return 0
            if number % 5 == 0:
                with transaction(tester.org_id) as session:
                    reservations.release(session, reservation)
                return 0
            settle(tester, reservation, 2)
            return 2

    with ThreadPoolExecutor(web_threads(app)) as threads:
        processed = sum(threads.map(request, range(64)))
    assert 64 <= processed <= 100
    assert today(tester, clock()) == (processed, 0)


def test_what_test_keys_make_is_no_live_usage(
    tester: Principal, principal: Principal, clock: Clock
) -> None:
    """Neither the month's counter nor its limit knows of it."""
    both = replace(tester, org_id=principal.org_id)
    settle(both, reserve(both, 100, clock()), 100)
    with pytest.raises(RateLimited):
        reserve(both, 1, clock())
    assert (month(both, clock()).used, month(principal, clock()).remaining) == (0, 100)
    settle(principal, reserve(principal, 100, clock()), 100)
    assert month(principal, clock()).used == 100
    with transaction(principal.org_id) as session:
        assert session.scalar(select(func.sum(UsageEntry.images))) == 100


def test_the_day_of_test_keys_ends_at_midnight(tester: Principal, clock: Clock) -> None:
    clock.set(datetime(2026, 6, 30, 23, 59, 30, tzinfo=UTC))
    settle(tester, reserve(tester, 98, clock()), 98)
    reservation = reserve(tester, 2, clock())
    with pytest.raises(RateLimited) as refusal:
        reserve(tester, 1, clock())
    assert "0 of 100 are left" in refusal.value.message
    assert "until 2026-07-01T00:00:00Z" in refusal.value.message
    assert 28 <= int(refusal.value.headers["Retry-After"]) <= 30
    with pytest.raises(RateLimited), transaction(tester.org_id) as session:
        limits.check(session, tester, 1, clock())
    clock.advance(seconds=31)
    settle(tester, reservation, 1)
    assert today(tester, datetime(2026, 6, 30, tzinfo=UTC)) == (99, 0)
    with transaction(tester.org_id) as session:
        limits.check(session, tester, 100, clock())
    reserve(tester, 100, clock())
    assert today(tester, clock()) == (0, 100)


def test_what_a_test_key_left_in_a_crash_is_given_back_to_its_day(
    app: Flask, tester: Principal, clock: Clock, tmp_path: Path
) -> None:
    began = clock()
    reserve(tester, 100, began)
    clock.advance(minutes=6)
    assert sweep(app.extensions["lightwell"].storage, tmp_path, clock())["reservations"] >= 1
    assert today(tester, began) == (0, 0)


def test_a_named_request_of_a_test_key_pays_once(tester: Principal, clock: Clock) -> None:
    settle(tester, reserve(tester, 4, clock(), "order"), 4)
    again = reserve(tester, 4, clock(), "order")
    assert again.already_paid
    settle(tester, again, 4)
    assert today(tester, clock()) == (4, 0)


step = st.tuples(
    st.sampled_from(["reserve", "settle", "release", "crash", "sweep"]), st.integers(0, 40)
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(step, max_size=30))
def test_whatever_happens_the_ledger_adds_up(
    app: Flask, make_account: AccountMaker, clock: Clock, steps: list[tuple[str, int]]
) -> None:
    principal = keys.authenticate(make_account(plan="FREE").key, clock())
    now, open_reservations, counted = clock(), [], 0
    for action, number in steps:
        if action == "reserve":
            try:
                open_reservations.append(reserve(principal, number, now))
            except QuotaExceeded:
                assert (
                    counted + sum(reservation.images for reservation in open_reservations) + number
                    > 100
                )
        elif action == "sweep":
            now += timedelta(minutes=6)
            with transaction(principal.org_id) as session:
                assert reservations.release_expired(session, now) == len(open_reservations)
            open_reservations.clear()
        elif open_reservations:
            reservation = open_reservations.pop(number % len(open_reservations))
            if action == "settle":
                images = min(number, reservation.images)
                settle(principal, reservation, images)
                counted += images
            elif action == "release":
                with transaction(principal.org_id) as session:
                    reservations.release(session, reservation)
            else:
                open_reservations.append(reservation)
    with transaction(principal.org_id) as session:
        counter = session.scalars(select(UsageCounter)).first() or UsageCounter(used=0, reserved=0)
        sums = {
            state: session.scalar(
                select(func.sum(UsageEntry.images)).where(UsageEntry.state == state)
            )
            or 0
            for state in (EntryState.SETTLED, EntryState.RESERVED)
        }
    assert counter.used == counted == sums[EntryState.SETTLED] <= 100
    assert (
        counter.reserved
        == sums[EntryState.RESERVED]
        == sum(one.images for one in open_reservations)
    )


@settings(suppress_health_check=list(HealthCheck))
@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_periods_follow_each_other(app: Flask, day: date) -> None:
    period = periods.period_of(datetime(day.year, day.month, day.day, tzinfo=UTC))
    following = periods.next_period(period)
    assert period.day == following.day == 1
    assert period <= day < following
    assert periods.next_period(period) - period <= timedelta(days=31)


def test_an_unlimited_plan_still_counts(principal: Principal, clock: Clock) -> None:
    unlimited = replace(principal, allowance=replace(principal.allowance, monthly_images=None))
    settle(unlimited, reserve(unlimited, 5000, clock()), 5000)
    summary = month(unlimited, clock())
    assert (summary.used, summary.limit, summary.remaining) == (5000, None, None)
