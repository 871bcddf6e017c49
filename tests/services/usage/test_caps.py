"""Spend caps: N parallel requests never pass one, and a key's counter is exact whatever happens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.errors import (
    AppError,
    BatchCapReached,
    CapReached,
    MonthlyLimitReached,
    NotFound,
    QuotaExceeded,
    RoleTooLow,
)
from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    AuditEntry,
    EntryState,
    KeyCounter,
    Mode,
    Role,
    UsageCounter,
    UsageDay,
    UsageEntry,
)
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.usage import caps, limits, reservations
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


@pytest.fixture
def account(context: None, make_account: AccountMaker) -> Account:
    return make_account(monthly_images=100)


def key_of(key: str, clock: Clock) -> Principal:
    return keys.authenticate(key, clock())


def owner_of(principal: Principal, role: Role = Role.OWNER) -> Principal:
    return Principal(
        org_id=principal.org_id,
        actor=Actor(ActorKind.USER, "user_1", "192.0.2.1"),
        mode=Mode.LIVE,
        scopes=principal.scopes,
        allowance=principal.allowance,
        rate_limit_id="user_1",
        role=role,
    )


def cap_organization(principal: Principal, cap: int | None, now: datetime) -> None:
    with transaction(principal.org_id) as session:
        caps.set_for_organization(session, owner_of(principal), cap, now)


def cap_key(principal: Principal, cap: int | None, now: datetime) -> None:
    with transaction(principal.org_id) as session:
        caps.set_for_key(session, owner_of(principal), principal.actor.id, cap, now)


Capper = Callable[[Principal, int | None, datetime], None]
each_cap = pytest.mark.parametrize("set_cap", [cap_organization, cap_key])


def reserve(principal: Principal, images: int, now: datetime) -> reservations.Reservation:
    with transaction(principal.org_id) as session:
        return reservations.reserve(session, principal, "image", images, now)


def settle(principal: Principal, reservation: reservations.Reservation, images: int) -> None:
    with transaction(principal.org_id) as session:
        reservations.settle(session, reservation, images)


def make(principal: Principal, images: int, clock: Clock) -> None:
    settle(principal, reserve(principal, images, clock()), images)


def left_under_cap(principal: Principal, now: datetime) -> list[int]:
    with transaction(principal.org_id) as session:
        found = caps.of_principal(session, principal, now.date().replace(day=1))
        return [cap.left for cap in found]


@each_cap
def test_parallel_requests_never_pass_a_cap(
    app: Flask, account: Account, clock: Clock, set_cap: Capper
) -> None:
    """Each wants 3 of 20 and makes 2."""
    principal = key_of(account.key, clock)
    set_cap(principal, 20, clock())

    def request(_: int) -> int:
        with app.app_context():
            try:
                reservation = reserve(principal, 3, clock())
            except CapReached:
                return 0
            settle(principal, reservation, 2)
            return 2

    with ThreadPoolExecutor(16) as threads:
        made = sum(threads.map(request, range(16)))
    assert 12 <= made <= 20
    assert left_under_cap(principal, clock()) == [20 - made]


@each_cap
def test_a_cap_lowered_below_use_refuses_the_next(
    account: Account, clock: Clock, set_cap: Capper
) -> None:
    principal = key_of(account.key, clock)
    make(principal, 10, clock)
    set_cap(principal, 11, clock())
    under_way = reserve(principal, 1, clock())
    set_cap(principal, 4, clock())
    with pytest.raises(CapReached, match="needs 1 images, and 0 of 4 are left under the monthly"):
        reserve(principal, 1, clock())
    settle(principal, under_way, 1)
    set_cap(principal, None, clock())
    make(principal, 89, clock)


@each_cap
@pytest.mark.parametrize(
    ("plan_s", "cap_s"), [(QuotaExceeded, CapReached), (MonthlyLimitReached, BatchCapReached)]
)
def test_a_refusal_names_the_narrowest(
    account: Account,
    clock: Clock,
    set_cap: Capper,
    plan_s: limits.Refusal,
    cap_s: type[CapReached],
) -> None:
    principal = key_of(account.key, clock)

    def refusal(images: int) -> AppError:
        with pytest.raises(AppError) as refused, transaction(principal.org_id) as session:
            reservations.reserve(session, principal, "image", images, clock(), otherwise=plan_s)
        return refused.value

    set_cap(principal, 101, clock())
    assert type(refusal(102)) is plan_s
    set_cap(principal, 99, clock())
    assert type(refusal(102)) is cap_s
    reserve(principal, 99, clock())
    assert type(refusal(1)) is cap_s


@each_cap
def test_what_exceeds_a_cap_is_refused_before_it_begins(
    account: Account, clock: Clock, set_cap: Capper
) -> None:
    principal = key_of(account.key, clock)
    set_cap(principal, 5, clock())
    with transaction(principal.org_id) as session:
        limits.check(session, principal, 5, clock())
        with pytest.raises(CapReached):
            limits.check(session, principal, 6, clock())


@each_cap
def test_test_keys_are_not_concerned(account: Account, clock: Clock, set_cap: Capper) -> None:
    set_cap(key_of(account.key, clock), 0, clock())
    make(key_of(account.test_key, clock), 3, clock)


def test_a_key_s_cap_leaves_other_keys_alone(
    account: Account, make_key: KeyMaker, clock: Clock
) -> None:
    capped, other = key_of(account.key, clock), key_of(make_key(account), clock)
    cap_key(capped, 1, clock())
    make(other, 50, clock)
    make(capped, 1, clock)
    with pytest.raises(CapReached, match="spend cap of the API key 'Default'"):
        reserve(capped, 1, clock())
    make(other, 49, clock)


def test_a_refused_key_leaves_the_month_as_it_was(account: Account, clock: Clock) -> None:
    principal = key_of(account.key, clock)
    cap_key(principal, 2, clock())
    with transaction(principal.org_id) as session, pytest.raises(CapReached):
        reservations.reserve(session, principal, "image", 3, clock())
    with transaction(principal.org_id) as session:
        assert limits.summarise(session, principal, clock()).remaining == 100


def test_rotation_keeps_the_count_and_the_cap(account: Account, clock: Clock) -> None:
    principal = key_of(account.key, clock)
    make(principal, 2, clock)
    cap_key(principal, 5, clock())
    for images in (2, 1):
        with transaction(principal.org_id) as session:
            new_key = keys.rotate(session, principal, clock())
        principal = key_of(new_key, clock)
        make(principal, images, clock)
    with pytest.raises(CapReached):
        reserve(principal, 1, clock())
    cap_key(principal, 6, clock())
    make(principal, 1, clock)


def test_a_cap_starts_anew_each_month(account: Account, clock: Clock) -> None:
    principal = key_of(account.key, clock)
    cap_key(principal, 3, clock())
    cap_organization(principal, 3, clock())
    make(principal, 3, clock)
    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    make(principal, 3, clock)
    with pytest.raises(CapReached, match="until 2027-01-01"):
        reserve(principal, 1, clock())


def test_what_a_crash_left_under_a_cap_is_given_back(account: Account, clock: Clock) -> None:
    principal = key_of(account.key, clock)
    cap_key(principal, 3, clock())
    reserve(principal, 3, clock())
    clock.advance(minutes=6)
    reserve(principal, 3, clock())


def test_only_owners_set_caps_and_only_of_their_own_live_keys(
    account: Account, make_account: AccountMaker, clock: Clock
) -> None:
    principal, test_key = key_of(account.key, clock), key_of(account.test_key, clock)
    stranger = key_of(make_account().key, clock)
    admin = owner_of(principal, Role.ADMIN)
    with transaction(principal.org_id) as session:
        with pytest.raises(RoleTooLow):
            caps.set_for_key(session, admin, principal.actor.id, 1, clock())
        with pytest.raises(RoleTooLow):
            caps.set_for_organization(session, admin, 1, clock())
    for key_id in (stranger.actor.id, test_key.actor.id, "key_unknown"):
        with pytest.raises(NotFound), transaction(principal.org_id) as session:
            caps.set_for_key(session, owner_of(principal), key_id, 1, clock())
    make(stranger, 3, clock)


def test_the_audit_log_names_the_cap(account: Account, clock: Clock) -> None:
    principal = key_of(account.key, clock)
    cap_key(principal, 7, clock())
    cap_key(principal, 7, clock())
    cap_organization(principal, 9, clock())
    cap_organization(principal, None, clock())
    with transaction(principal.org_id) as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action.contains("cap")).order_by(AuditEntry.id)
        ).all()
        assert [(one.action, one.after) for one in entries] == [
            ("key.cap_changed", {"key": principal.actor.id, "image_cap": 7}),
            ("organization.cap_changed", {"image_cap": 9}),
            ("organization.cap_changed", {"image_cap": None}),
        ]
        assert {one.address for one in entries} == {"192.0.2.1"}


actions = st.sampled_from(["reserve", "settle", "release", "expire", "cap", "uncap", "rotate"])


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(actions, st.integers(0, 30)), max_size=14))
def test_whatever_happens_all_figures_agree(
    app: Flask, make_account: AccountMaker, clock: Clock, steps: list[tuple[str, int]]
) -> None:
    """The days of a month add up to its counter; a key's counter to its line's entries."""
    principal = key_of(make_account(monthly_images=100).key, clock)
    now, under_way, line = clock(), list[reservations.Reservation](), {principal.actor.id}
    cap: int | None = None
    for action, number in steps:
        if action == "reserve":
            try:
                under_way.append(reserve(principal, number, now))
            except (CapReached, QuotaExceeded):
                continue
            assert cap is None or sum(figures(principal, line)["key"]) <= cap
        elif action == "cap":
            cap = number
            cap_key(principal, cap, now)
        elif action == "uncap":
            cap = None
            cap_key(principal, None, now)
        elif action == "rotate":
            with transaction(principal.org_id) as session:
                new_key = keys.rotate(session, principal, now)
            principal = key_of(new_key, clock)
            line.add(principal.actor.id)
        elif action == "expire":
            now += timedelta(minutes=6)
            with transaction(principal.org_id) as session:
                reservations.release_expired(session, now)
            under_way.clear()
        elif under_way:
            one = under_way.pop(number % len(under_way))
            if action == "settle":
                settle(principal, one, min(number, one.images))
            else:
                with transaction(principal.org_id) as session:
                    reservations.release(session, one)
    agree(figures(principal, line), sum(one.images for one in under_way))


def figures(principal: Principal, line: set[str]) -> dict[str, tuple[int, int]]:
    """(used, reserved) by where it is written; absent where no row is."""
    with transaction(principal.org_id) as session:
        found = {
            "month": session.execute(select(UsageCounter.used, UsageCounter.reserved)).first(),
            "key": session.execute(select(KeyCounter.used, KeyCounter.reserved)).first(),
        }
        sums = {
            state: session.scalar(
                select(func.coalesce(func.sum(UsageEntry.images), 0)).where(
                    UsageEntry.state == state, UsageEntry.actor_id.in_(line)
                )
            )
            for state in EntryState
        }
        days = session.scalar(
            select(func.coalesce(func.sum(UsageDay.images), 0)).where(UsageDay.images > 0)
        )
    written = {name: (row[0], row[1]) for name, row in found.items() if row}
    entries = (sums[EntryState.SETTLED] or 0, sums[EntryState.RESERVED] or 0)
    return {**written, "entries": entries, "days": (days or 0, entries[1])}


def agree(found: dict[str, tuple[int, int]], reserved: int) -> None:
    assert found["entries"][1] == reserved
    assert set(found.values()) == {found["entries"]}, found
