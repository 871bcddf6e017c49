"""The figures of the business."""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.extensions import transaction
from app.models import BillingAccount, Organization, UsageCounter
from app.services import audit
from app.services.staff import reports
from app.services.staff.reports import Counts, Month
from app.tenancy import unscoped
from tests.actors import TEST
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases, plan_of, statements

THIS = NOON.date().replace(day=1)
LAST = (THIS - timedelta(days=1)).replace(day=1)
PLANS = ("TEAM", "BUSINESS")
COSTS = {"TEAM": 2900, "BUSINESS": 9900}


def months(app: Flask, now: datetime = NOON) -> list[Month]:
    """As they are without what Redis keeps."""
    redis = app.extensions["lightwell"].redis
    for key in redis.scan_iter("staff:month:*"):
        redis.delete(key)
    with app.app_context(), transaction() as session, unscoped(session, "a test of reports"):
        return reports.months(session, redis, now)


def pay(app: Flask, account: Account, moves: list[tuple[datetime, str | None]]) -> None:
    """Move an account from one paid plan to the next."""
    with app.app_context(), transaction(account.org_id) as session:
        before: dict[str, Any] = {"paidPlan": None, "interval": None}
        for at, plan in moves:
            after = {"paidPlan": plan, "interval": "month"}
            audit.record(session, TEST, "subscription.changed", before, after, at)
            before = after
        paid = moves[-1][1]
        session.add(BillingAccount(customer_id=f"cus_{uuid4().hex}", plan_code=paid))
        session.get_one(Organization, account.org_id).paid_plan_code = paid


@on_both_databases
def test_months_tell_who_paid_and_who_ceased_to(app: Flask, make_account: AccountMaker) -> None:
    before = months(app)
    stays, leaves, grows, other = (make_account() for _ in range(4))
    last, this = datetime(*LAST.timetuple()[:3], 9, tzinfo=NOON.tzinfo), NOON - timedelta(hours=1)
    pay(app, stays, [(last, "TEAM")])
    pay(app, leaves, [(last, "TEAM"), (this, None)])
    pay(app, grows, [(last, "TEAM"), (this, "BUSINESS")])
    with app.app_context():
        with transaction(other.org_id) as session:  # says nothing of plans
            states = ({"interval": "month"}, {"interval": "year"})
            audit.record(session, TEST, "subscription.changed", *states, this)
        for account, used in ((stays, 5), (leaves, 0)):
            with transaction(account.org_id) as session:
                session.add(UsageCounter(period=THIS, used=used, reserved=0))
    after = months(app)
    grown = [
        (
            new.revenue - old.revenue, new.paying - old.paying, new.started - old.started,
            new.ended - old.ended, new.counts.active - old.counts.active,
            new.counts.images - old.counts.images, new.counts.new - old.counts.new,
            new.counts.converted - old.counts.converted,
        )
        for old, new in zip(before, after, strict=True)
    ]  # fmt: skip
    assert grown[0] == (2900 + 9900, 2, 0, 1, 1, 5, 4, 2)
    assert grown[1] == (3 * 2900, 3, 3, 0, 0, 0, 0, 0)
    assert set(grown[2:]) == {(0,) * 8}
    assert [one.period for one in after] == reports.periods(NOON)


@on_both_databases
def test_months_that_are_over_are_counted_once_a_day(app: Flask, sqlite_app: Flask) -> None:
    with app.app_context(), statements(app) as first:
        months(app)
    redis = app.extensions["lightwell"].redis
    with (
        statements(app) as second,
        app.app_context(),
        transaction() as session,
        unscoped(session, "a test of reports"),
    ):
        reports.months(session, redis, NOON)
    assert len(first) - len(second) == 3 * (reports.MONTHS - 1)
    for table, index in (
        ("audit_entries", "ix_audit_entries_action_id"),
        ("usage_counters", "ix_usage_counters_period_used"),
    ):
        plans = [plan_of(app, one) for one in second if table in one.text]
        # Of one or two hundred rows PostgreSQL thinks that the primary key finds them as quickly.
        may = (index,) if app is sqlite_app else (index, f"pk_{table}")
        assert any(one in plan for one in may for plan in plans), "\n\n".join(plans)


@on_both_databases
def test_the_largest_customers_come_first(
    app: Flask, make_account: AccountMaker, clock: Clock
) -> None:
    period = date(2031, 1, 1)
    small, large, none = (make_account() for _ in range(3))
    pay(app, small, [(NOON, "TEAM")])
    pay(app, large, [(NOON, "BUSINESS")])
    for account, used in ((small, 7), (large, 9), (none, 0)):
        with app.app_context(), transaction(account.org_id) as session:
            session.add(UsageCounter(period=period, used=used, reserved=0))
    with app.app_context(), transaction() as session, unscoped(session, "a test of reports"):
        images = reports.top_by_images(session, period)
        revenue = reports.top_by_revenue(session, period, 1000)
    assert [(one.id, one.images, one.cents) for one in images] == [
        (large.org_id, 9, 9900), (small.org_id, 7, 2900),
    ]  # fmt: skip
    ids = [one.id for one in revenue]
    assert ids.index(large.org_id) < ids.index(small.org_id)
    assert none.org_id not in ids
    assert [one.cents for one in revenue] == sorted((one.cents for one in revenue), reverse=True)


MOVES = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*PLANS, None])), max_size=6),
    min_size=1, max_size=6,
)  # fmt: skip


@given(MOVES)
def test_going_back_through_the_changes_finds_what_going_forward_made(
    moves: list[list[tuple[int, str | None]]],
) -> None:
    """Six customers move between plans; each month is counted as it ends."""
    plan: dict[int, str | None] = dict.fromkeys(range(6))
    expected, counted = [], []
    for number, month in enumerate(moves):
        changes: Counter[tuple[str | None, str | None]] = Counter()
        for who, to in month:
            if plan[who] != to:
                changes[plan[who], to] += 1
            plan[who] = to
        paid = [code for code in plan.values() if code]
        expected.append((len(paid), sum(COSTS[code] for code in paid)))
        rows = [(*move, times) for move, times in changes.items()]
        counted.append((date(2026, 1 + number, 1), Counts(0, 0, 0, 0, rows)))
    paying = Counter(code for code in plan.values() if code)
    found = reports._chained(reversed(counted), paying, COSTS)
    assert [(one.paying, one.revenue) for one in reversed(found)] == expected
    assert found[-1].paid_before == 0


@pytest.mark.usefixtures("clock")
def test_periods_are_the_last_twelve_months() -> None:
    found = reports.periods(datetime(2026, 2, 28, 23, 59, tzinfo=NOON.tzinfo))
    assert (found[0], found[1], found[2]) == (
        date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1),
    )  # fmt: skip
    assert len(found) == reports.MONTHS
