"""What several subscriptions amount to, and what is told of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.adapters.payments.interface import Subscription, SubscriptionItem
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import BillingAccount
from app.services.billing import subscriptions
from app.services.billing.prices import Prices, UnknownPrice
from app.services.billing.subscriptions import (
    EXPECTED_CHANGE_DELAY,
    MIN_CHECK_INTERVAL,
    PERIOD_END_MARGIN,
    UNPAID_CHECK_INTERVAL,
    SubscriptionState,
    subscription_state,
)
from app.settings_types import PlanPrice
from tests.actors import TEST
from tests.billing import BillingEnv
from tests.clock import Clock
from tests.conftest import AccountMaker

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LADDER = ["FREE", "TEAM", "BUSINESS"]
PRICES = Prices(
    (PlanPrice("TEAM", "month", "price_team"), PlanPrice("BUSINESS", "year", "price_business")),
    (PlanPrice("TEAM", "month", "price_images"),),
)


def subscription(name: str, status: str, *prices: str, age: int = 0) -> Subscription:
    items = [
        SubscriptionItem(f"si_{price}", price, NOW + timedelta(days=number))
        for number, price in enumerate(prices, 1)
    ]
    return Subscription(name, "cus_1", status, items, NOW - timedelta(days=age), None)


def test_without_any_nothing_holds() -> None:
    assert subscription_state(PRICES, LADDER, []) == SubscriptionState()
    assert (
        subscription_state(PRICES, LADDER, [subscription("sub_1", "canceled", "price_team")])
        == SubscriptionState()
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("active", "past_due"), ("trialing", "past_due"), ("past_due", "unpaid"),
        ("unpaid", "paused"),
        ("paused", "incomplete"),
    ],
)  # fmt: skip
def test_the_best_state_counts_whichever_came_first(better: str, worse: str) -> None:
    for ages in ((0, 1), (1, 0)):
        both = [
            subscription("sub_better", better, "price_team", age=ages[0]),
            subscription("sub_worse", worse, "price_business", age=ages[1]),
        ]
        for order in (both, both[::-1]):
            found = subscription_state(PRICES, LADDER, order)
            assert (found.subscription_id, found.status) == ("sub_better", better)


def test_of_equal_states_the_higher_plan_counts_and_of_equal_plans_the_newest() -> None:
    old_team = subscription("sub_a", "active", "price_team", age=9)
    new_team = subscription("sub_b", "active", "price_team", age=1)
    business = subscription("sub_c", "trialing", "price_business", age=20)
    assert subscription_state(PRICES, LADDER, [old_team, new_team]).subscription_id == "sub_b"
    found = subscription_state(PRICES, LADDER, [business, old_team, new_team])
    assert (found.subscription_id, found.plan, found.interval) == ("sub_c", "BUSINESS", "year")


@pytest.mark.parametrize(
    ("status", "plan", "metered"),
    [("active", "TEAM", True), ("past_due", "TEAM", True), ("unpaid", None, False)],
)
def test_only_what_holds_a_plan_is_metered(status: str, plan: str | None, metered: bool) -> None:
    found = subscription_state(
        PRICES, LADDER, [subscription("sub_1", status, "price_team", "price_images")]
    )
    assert (found.plan, found.interval) == (plan, plan and "month")
    assert (found.metered, found.period_end) == (metered, NOW + timedelta(days=2))


def test_prices_that_nobody_knows_matter_only_where_they_hold_a_plan() -> None:
    assert (
        subscription_state(PRICES, LADDER, [subscription("sub_1", "unpaid", "price_x")]).plan
        is None
    )
    with pytest.raises(UnknownPrice):
        subscription_state(PRICES, LADDER, [subscription("sub_1", "active", "price_x")])
    with pytest.raises(UnknownPrice, match="plans that do not exist: BUSINESS"):
        subscription_state(
            PRICES, ["FREE", "TEAM"], [subscription("sub_1", "active", "price_business")]
        )


def test_what_came_of_it_is_told_to_whoever_has_the_transaction(
    app: Flask, billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE")
    customer = billing_env.customer(account)
    billing_env.stripe.subscriptions.create(customer, ["price_team_month"])

    def synchronise() -> str | None:
        snapshot = next(subscriptions.snapshots(billing_env.provider, customer))
        assert snapshot.account.org_id == account.org_id
        with transaction(account.org_id) as session:
            return subscriptions.apply(session, snapshot, billing_env.provider, TEST)

    with app.app_context():
        assert synchronise() == "applied"
        assert synchronise() == "nothing new"
        assert not list(subscriptions.snapshots(billing_env.provider, "cus_of_nobody"))
        assert not subscriptions.synchronise(billing_env.provider, "cus_of_nobody", TEST)


@pytest.mark.parametrize(
    ("found", "after"),
    [
        (SubscriptionState(), None),
        (SubscriptionState("sub", "past_due", period_end=NOW), UNPAID_CHECK_INTERVAL),
        (SubscriptionState("sub", "unpaid", period_end=NOW), UNPAID_CHECK_INTERVAL),
        (SubscriptionState("sub", "incomplete"), UNPAID_CHECK_INTERVAL),
        (SubscriptionState("sub", "active"), None),
        (
            SubscriptionState("sub", "active", period_end=NOW + timedelta(days=9)),
            timedelta(days=9) + PERIOD_END_MARGIN,
        ),
        (
            SubscriptionState(
                "sub",
                "active",
                period_end=NOW + timedelta(days=9),
                cancel_at=NOW + timedelta(days=3),
            ),
            timedelta(days=3) + PERIOD_END_MARGIN,
        ),
        (SubscriptionState("sub", "active", period_end=NOW), MIN_CHECK_INTERVAL),
    ],
)
def test_the_provider_is_asked_when_news_is_due(
    found: SubscriptionState, after: timedelta | None
) -> None:
    assert subscriptions._next_check(found, NOW) == (None if after is None else NOW + after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, EXPECTED_CHANGE_DELAY),
        (EXPECTED_CHANGE_DELAY * 2, EXPECTED_CHANGE_DELAY),
        (EXPECTED_CHANGE_DELAY, EXPECTED_CHANGE_DELAY),
        (EXPECTED_CHANGE_DELAY / 2, EXPECTED_CHANGE_DELAY / 2),
    ],
)
def test_what_is_about_to_change_is_asked_for_soon_but_not_later_than_before(
    app: Flask,
    billing_env: BillingEnv,
    make_account: AccountMaker,
    clock: Clock,
    before: timedelta | None,
    after: timedelta,
) -> None:
    account, now = make_account(plan="FREE"), clock()
    billing_env.customer(account)
    with app.app_context():
        with transaction(account.org_id) as session:
            row = session.scalars(select(BillingAccount)).one()
            row.check_at = None if before is None else now + before
        with transaction(account.org_id) as session:
            subscriptions.schedule_check(session, now)
    assert billing_env.billing(account).check_at == now + after


class Asked(StripePayments):
    """Payments that have no subscription of anybody, and note who was asked about."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.customers: list[str] = []
        self._meanwhile = meanwhile

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        self.customers.append(customer_id)
        self._meanwhile()
        return []


def test_who_is_overtaken_ten_times_gives_up_and_has_changed_nothing(
    app: Flask, billing_env: BillingEnv, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE")
    customer = billing_env.customer(account)

    def overtake() -> None:
        with transaction(account.org_id) as session:
            session.change(update(BillingAccount).values(revision=BillingAccount.revision + 1))

    asked, before = Asked(overtake), billing_env.audit(account)
    with app.app_context(), pytest.raises(DependencyDown):
        subscriptions.synchronise(replace(billing_env.provider, payments=asked), customer, TEST)
    assert asked.customers == [customer] * 10
    assert len(billing_env.audit(account)) == len(before)


def test_who_was_not_heard_of_is_asked_about_twenty_at_a_time_and_the_longest_silent_first(
    app: Flask, billing_env: BillingEnv, make_account: AccountMaker, clock: Clock
) -> None:
    silent = [f"cus_silent_{number}_{make_account(plan='FREE').org_id}" for number in range(21)]
    for number, customer in enumerate(silent):
        with app.app_context(), transaction(customer.split("_", 3)[3]) as session:
            long_ago = clock() - timedelta(days=900 - number)
            session.add(
                BillingAccount(customer_id=customer, customers=1, revision=0, check_at=long_ago)
            )
    asked = Asked()
    provider = replace(billing_env.provider, payments=asked)
    with app.app_context():
        subscriptions.synchronise_due(provider)
        assert asked.customers == silent[:20]
        subscriptions.synchronise_due(provider)
    assert asked.customers[20] == silent[20]
    assert not set(silent) & set(asked.customers[21:])
