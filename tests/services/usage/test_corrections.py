"""Corrections by staff: the ledger, the counter and the days always say the same."""

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import case, func, select, update

from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import EntryState, UsageCounter, UsageDay, UsageEntry
from app.services.accounts import keys
from app.services.usage import corrections, days, reservations
from app.services.usage.periods import day_of, period_of
from tests.actors import STAFF
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases

STEPS = st.one_of(
    st.tuples(st.just("work"), st.integers(1, 50)),
    st.tuples(st.just("correct"), st.integers(-80, 80).filter(bool)),
)


def sums(account: Account) -> tuple[int, int, int]:
    """Of the counter, the ledger and the days of the month."""
    signed = case((UsageEntry.kind == "credit", -UsageEntry.images), else_=UsageEntry.images)
    with transaction(account.org_id) as session:
        found = (
            session.scalar(select(UsageCounter.used).where(UsageCounter.period == period_of(NOON))),
            session.scalar(select(func.sum(signed)).where(UsageEntry.state == EntryState.SETTLED)),
            session.scalar(select(func.sum(UsageDay.images))),
        )
    return found[0] or 0, int(found[1] or 0), int(found[2] or 0)


@on_both_databases
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=8))
def test_counter_ledger_and_days_agree(
    app: Flask, make_account: AccountMaker, steps: list[tuple[str, int]]
) -> None:
    account, expected, made = make_account(), 0, 0
    with app.app_context():
        principal = keys.authenticate(account.key, NOON)
        for number, (what, images) in enumerate(steps):
            with transaction(account.org_id) as session:
                if what == "work":
                    one = reservations.reserve(session, principal, "compress", images, NOON)
                    reservations.settle(session, one, images)
                    expected, made = expected + images, made + images
                elif expected + images < 0:
                    with pytest.raises(BadRequest, match="has used"):
                        corrections.correct(session, images, str(number), STAFF, NOON)
                else:
                    corrections.correct(session, images, str(number), STAFF, NOON)
                    expected += images
            assert sums(account) == (expected,) * 3
        today = day_of(NOON)
        with transaction(account.org_id) as session:
            assert days.by_surface(session, principal.mode, today, today).total == made
            assert days.corrected(session, principal.mode, today, today) == expected - made


@on_both_databases
def test_a_counter_never_holds_more_than_it_can(app: Flask, acme: Account) -> None:
    with app.app_context():
        with transaction(acme.org_id) as session:
            corrections.correct(session, corrections.MOST, "first", STAFF, NOON)
            full = update(UsageCounter).where(UsageCounter.period == period_of(NOON))
            session.change(full.values(used=corrections.HIGHEST - 1))
        with transaction(acme.org_id) as session, pytest.raises(BadRequest, match="has room for"):
            corrections.correct(session, 2, "second", STAFF, NOON)
        with transaction(acme.org_id) as session:
            corrections.correct(session, 1, "third", STAFF, NOON)


def test_a_form_counts_once_and_within_bounds(app: Flask, acme: Account, clock: Clock) -> None:
    with app.app_context():
        with transaction(acme.org_id) as session:
            corrections.correct(session, 5, "form", STAFF, clock())
        with pytest.raises(Conflict), transaction(acme.org_id) as session:
            corrections.correct(session, 5, "form", STAFF, clock())
        for images in (0, corrections.MOST + 1, -corrections.MOST - 1):
            with pytest.raises(BadRequest), transaction(acme.org_id) as session:
                corrections.correct(session, images, "other", STAFF, clock())
        assert sums(acme) == (5, 5, 5)
