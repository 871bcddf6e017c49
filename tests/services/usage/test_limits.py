"""Work is refused before it begins where the month has no room for it, and nothing is set aside for
that."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select

from app.errors import CapReached, QuotaExceeded
from app.extensions import transaction
from app.models import Role, UsageEntry
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.usage import caps, limits, reservations
from tests.clock import Clock
from tests.conftest import Account, AccountMaker

pytestmark = pytest.mark.usefixtures("context")


def check(principal: Principal, images: int, now: datetime) -> None:
    with transaction(principal.org_id) as session:
        limits.check(session, principal, images, now)


@pytest.fixture
def account(make_account: AccountMaker) -> Account:
    return make_account(monthly_images=5)


@pytest.fixture
def principal(account: Account, clock: Clock) -> Principal:
    return keys.authenticate(account.key, clock())


def test_what_fits_is_let_through_and_what_does_not_is_told(
    principal: Principal, clock: Clock
) -> None:
    check(principal, 5, clock())
    check(principal, 5, clock())
    with pytest.raises(QuotaExceeded, match="needs 6 images, and 5 of 5 are left"):
        check(principal, 6, clock())


def test_work_under_way_counts(principal: Principal, clock: Clock) -> None:
    with transaction(principal.org_id) as session:
        reservations.reserve(session, principal, "test", 3, clock())
    check(principal, 2, clock())
    with pytest.raises(QuotaExceeded, match="2 of 5 are left"):
        check(principal, 3, clock())


def test_plans_without_a_limit_are_never_full(principal: Principal, clock: Clock) -> None:
    check(
        replace(principal, allowance=replace(principal.allowance, monthly_images=None)),
        1000,
        clock(),
    )


def test_more_is_never_settled_than_was_reserved(principal: Principal, clock: Clock) -> None:
    with transaction(principal.org_id) as session:
        reserved = reservations.reserve(session, principal, "test", 2, clock())
        with pytest.raises(ValueError, match="more images settled than reserved"):
            reservations.settle(session, reserved, 3)
        reservations.settle(session, reserved, 2)
        assert limits.summarise(session, principal, clock()).used == 2


def test_what_was_paid_before_is_neither_paid_nor_given_back_again(
    principal: Principal, clock: Clock
) -> None:
    with transaction(principal.org_id) as session:
        first = reservations.reserve(session, principal, "test", 2, clock(), "a request")
        reservations.settle(session, first, 2)
        again = reservations.reserve(session, principal, "test", 2, clock(), "a request")
        assert again == replace(first, already_paid=True, metered=again.metered)
        reservations.settle(session, again, 2)
        reservations.release(session, again)
        summary = limits.summarise(session, principal, clock())
    assert (summary.used, summary.remaining) == (2, 3)


@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
def test_a_refused_key_does_not_wait_for_a_reservation_that_is_ended_just_now(
    account: Account, principal: Principal, clock: Clock
) -> None:
    """Its worker holds the ledger entry and waits for the counter that the refused request holds:
    each would wait for the other."""
    owner = replace(principal, role=Role.OWNER)
    with transaction(account.org_id) as session:
        caps.set_for_key(session, owner, principal.actor.id, 3, clock())
        reservations.reserve(session, principal, "test", 3, clock())
    clock.advance(minutes=6)
    with transaction(account.org_id) as worker, transaction(account.org_id) as session:
        assert worker.scalars(select(UsageEntry).with_for_update()).all()
        session.connection().exec_driver_sql("SET LOCAL lock_timeout = '3s'")
        with pytest.raises(CapReached):
            reservations.reserve(session, principal, "test", 1, clock())
