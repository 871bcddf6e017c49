"""``flask billing reconcile``: what differs from the payment provider is found, told, and
repaired."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app.adapters.payments import stripe as adapter
from app.adapters.payments.interface import Subscription
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import FREE, BillingAccount, Organization
from app.services.billing import plans, reconciliation, subscriptions
from app.services.billing.prices import Prices
from app.settings_types import PlanPrice
from app.tenancy import unscoped
from tests.actors import TEST, system
from tests.billing import ACCOUNT, METERED, SECRETS, BillingEnv, open_billing_env
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases, statements
from tests.services.billing.faults import forget_everybody
from tests.webhooks.events import NOWHERE

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def alone(context: None) -> None:
    """Everybody is compared, so whoever is left here of earlier tests has never been at the
    billing_env."""
    forget_everybody()
    with transaction() as session:
        unpaid = func.coalesce(Organization.granted_plan_code, FREE)
        session.change(update(Organization).values(plan_code=unpaid, metered=False))


@pytest.fixture
def acme(make_account: AccountMaker) -> Account:
    return make_account("acme", plan="FREE")


Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(app: Flask) -> Run:
    def invoke(*arguments: str) -> tuple[int, list[str]]:
        """The exit code of ``flask billing`` and the lines it printed."""
        done = app.test_cli_runner().invoke(args=["billing", *arguments])
        assert "Traceback" not in done.output
        return done.exit_code, done.output.splitlines()

    return invoke


def subscribe(billing_env: BillingEnv, account: Account, *prices: str) -> str:
    """The id of a subscription of which nothing was heard."""
    return str(
        billing_env.stripe.subscriptions.create(
            billing_env.customer(account), prices or ["price_team_month"]
        )["id"]
    )


def hear(billing_env: BillingEnv, account: Account) -> None:
    """Any news does: each is only a reason to ask."""
    customer_id = billing_env.billing(account).customer_id
    assert customer_id
    assert subscriptions.synchronise(billing_env.provider, customer_id, TEST)


def edit(account: Account, model: type[Organization | BillingAccount], **values: object) -> None:
    """What somebody does to a row by hand."""
    with transaction(account.org_id) as session:
        rows = model.org_id if issubclass(model, BillingAccount) else model.id
        assert session.change(update(model).where(rows == account.org_id).values(**values))


def differences(billing_env: BillingEnv) -> list[reconciliation.BillingDifference]:
    return list(reconciliation.differences(billing_env.provider))


def check(run: Run, billing_env: BillingEnv, account: Account, problem: str) -> None:
    """It is found and told, left alone until it is to be repaired, and gone then."""
    who = f"{account.org_id} {billing_env.billing(account).customer_id}: "
    before = billing_env.plan(account)
    code, lines = run("reconcile")
    assert (code, lines[1:]) == (1, ["Differences: 1, repaired: 0."])
    assert lines[0].startswith(who)
    assert problem in lines[0]
    assert billing_env.plan(account) == before
    assert run("reconcile", "--repair") == (
        0,
        [f"{lines[0]} (repaired)", "Differences: 1, repaired: 1."],
    )
    assert run("reconcile") == (0, ["Differences: 0, repaired: 0."])
    assert billing_env.audit(account)[-1].actor == system("reconcile")


def test_a_life_of_which_nothing_was_heard(
    run: Run, billing_env: BillingEnv, acme: Account, clock: Clock
) -> None:
    one, stripe = subscribe(billing_env, acme), billing_env.stripe
    customer = billing_env.billing(acme).customer_id
    assert customer
    check(
        run,
        billing_env,
        acme,
        "status is None, should be active; plan is None, should be TEAM; interval is None, should ",
    )
    steps: list[tuple[Callable[[], object], str, str]] = [
        (lambda: stripe.subscriptions.end_period(one), "period_end is ", "TEAM"),
        (
            lambda: stripe.subscriptions.change_prices(one, ["price_business_year"]),
            "plan is TEAM, should be BUSINESS; interval is month, should be year; period_end is ",
            "BUSINESS",
        ),
        (
            lambda: stripe.subscriptions.cancel(one, at_period_end=True),
            "cancel_at is None, should be 20",
            "BUSINESS",
        ),
        (lambda: stripe.subscriptions.keep(one), ", should be None", "BUSINESS"),
        (
            lambda: (
                stripe.customers.set_card(customer, "declines")
                and stripe.subscriptions.end_period(one)
            ),
            "active, should be past_due",
            "BUSINESS",
        ),
        (
            lambda: stripe.subscriptions.give_up(one, "unpaid"),
            "past_due, should be unpaid; plan is BUSINESS, should be None",
            "FREE",
        ),
        (
            lambda: stripe.customers.set_card(customer, "works"),
            "unpaid, should be active; plan is None, should be ",
            "BUSINESS",
        ),
        (
            lambda: stripe.subscriptions.pause(one),
            "active, should be paused; plan is BUSINESS, should be None",
            "FREE",
        ),
        (
            lambda: stripe.subscriptions.create(customer, ["price_team_month"]),
            "plan is None, should be TEAM",
            "TEAM",
        ),
        (lambda: stripe.subscriptions.resume(one), "plan is TEAM, should be BUSINESS", "BUSINESS"),
        (lambda: stripe.subscriptions.cancel(one), "plan is BUSINESS, should be TEAM", "TEAM"),
        (
            lambda: stripe.customers.delete(customer),
            "status is active, should be None; plan is TEAM, ",
            "FREE",
        ),
    ]
    for happens, problem, plan in steps:
        clock.advance(hours=1)
        happens()
        check(run, billing_env, acme, problem)
        assert billing_env.plan(acme) == plan


EDITED: list[tuple[type[Organization | BillingAccount], dict[str, object], str]] = [
    (Organization, {"plan_code": "BUSINESS"}, "plan in force is BUSINESS, should be TEAM"),
    (Organization, {"metered": True}, "metered is True, should be False"),
    (
        Organization,
        {"plan_lapses_at": datetime(2026, 1, 1, tzinfo=UTC)},
        "overdue is True, should be False",
    ),
    (BillingAccount, {"status": "unpaid"}, "status is unpaid, should be active"),
    (BillingAccount, {"plan_code": None}, "plan is None, should be TEAM"),
    (BillingAccount, {"interval": "year"}, "interval is year, should be month"),
    (BillingAccount, {"period_end": None}, "period_end is None, should be 20"),
    (BillingAccount, {"subscription_id": "sub_x"}, "subscription_id is sub_x, should be sub_"),
]


def test_rows_that_were_edited_by_hand(run: Run, billing_env: BillingEnv, acme: Account) -> None:
    subscribe(billing_env, acme)
    hear(billing_env, acme)
    for model, values, problem in EDITED:
        edit(acme, model, **values)
        check(run, billing_env, acme, problem)
        assert billing_env.plan(acme) == "TEAM"


@pytest.mark.usefixtures("billing_env")
def test_an_organization_that_never_paid(run: Run, acme: Account) -> None:
    for values, problem in (
        ({"plan_code": "TEAM"}, "plan in force is TEAM, should be FREE"),
        ({"metered": True}, "metered is True, should be False"),
    ):
        edit(acme, Organization, **values)
        assert run("reconcile") == (
            1,
            [f"{acme.org_id}: {problem}", "Differences: 1, repaired: 0."],
        )
        assert run("reconcile", "--repair")[0] == 0
        assert run("reconcile") == (0, ["Differences: 0, repaired: 0."])


def test_a_price_that_nobody_named_is_told_and_left_alone(
    run: Run, app: Flask, clock: Clock, acme: Account
) -> None:
    """Until it is named."""
    without_business = [price for price in ACCOUNT.stripe_prices if price.plan != "BUSINESS"]
    with open_billing_env(app, clock, prices=Prices(without_business, ())) as billing_env:
        subscription = subscribe(billing_env, acme)
        hear(billing_env, acme)
        billing_env.stripe.subscriptions.change_prices(subscription, ["price_business_month"])
        who = f"{acme.org_id} {billing_env.billing(acme).customer_id}"
        problem = (
            f"{who}: {subscription} pays price_business_month, which STRIPE_PRICES does not name"
        )
        for arguments in ([], ["--repair"]):
            assert run("reconcile", *arguments) == (1, [problem, "Differences: 1, repaired: 0."])
        assert billing_env.plan(acme) == "TEAM"
        found = differences(billing_env)
        named = replace(billing_env.provider, prices=Prices(ACCOUNT.stripe_prices, ()))
        assert [reconciliation.repair(named, one) for one in found] == [True]
        assert billing_env.plan(acme) == "BUSINESS"


def test_a_customer_who_pays_and_is_nobody_here_is_told(run: Run, billing_env: BillingEnv) -> None:
    stranger = billing_env.stripe.customers.create("stranger@example.com")["id"]
    billing_env.stripe.subscriptions.create(stranger, ["price_business_year"])
    problem = f"{stranger}: pays for BUSINESS, and is no workspace's customer"
    for arguments in ([], ["--repair"]):
        assert run("reconcile", *arguments) == (1, [problem, "Differences: 1, repaired: 0."])


def test_other_things_that_the_same_account_sells_are_nobody_s_business(
    run: Run, billing_env: BillingEnv
) -> None:
    """Nor is what was never paid."""
    other, former = (
        billing_env.stripe.customers.create(f"{name}@example.com")["id"]
        for name in ("other", "former")
    )
    billing_env.stripe.subscriptions.create(other, [METERED])
    billing_env.stripe.subscriptions.expire(
        billing_env.stripe.subscriptions.create(former, ["price_team_month"], card="declines")["id"]
    )
    billing_env.stripe.customers.delete(former)
    assert run("reconcile") == (0, ["Differences: 0, repaired: 0."])


LIVES = [
    ("change_prices cancel_later keep end_period pause resume cancel", {}),
    ("end_period declines end_period works declines end_period unpaid works", {"trial_days": 14}),
    ("declines end_period week day works declines end_period give_up", {}),
    ("expire subscribe", {"card": "declines"}),
]


@pytest.mark.parametrize(("life", "begins"), LIVES)
def test_nothing_differs_in_a_life_that_was_heard_of(
    billing_env: BillingEnv, acme: Account, clock: Clock, life: str, begins: dict[str, Any]
) -> None:
    """Nor once a plan has lapsed, which no news tells."""
    customer, stripe = billing_env.customer(acme), billing_env.stripe
    one = stripe.subscriptions.create(customer, ["price_team_month"], **begins)["id"]
    steps: dict[str | None, Callable[[], object]] = {
        "change_prices": lambda: stripe.subscriptions.change_prices(one, ["price_business_month"]),
        "cancel_later": lambda: stripe.subscriptions.cancel(one, at_period_end=True),
        "keep": lambda: stripe.subscriptions.keep(one),
        "end_period": lambda: stripe.subscriptions.end_period(one),
        "pause": lambda: stripe.subscriptions.pause(one),
        "resume": lambda: stripe.subscriptions.resume(one),
        "declines": lambda: stripe.customers.set_card(customer, "declines"),
        "works": lambda: stripe.customers.set_card(customer, "works"),
        "unpaid": lambda: stripe.subscriptions.give_up(one, "unpaid"),
        "give_up": lambda: stripe.subscriptions.give_up(one, "canceled"),
        "expire": lambda: stripe.subscriptions.expire(one),
        "cancel": lambda: stripe.subscriptions.cancel(one),
        "subscribe": lambda: stripe.subscriptions.create(customer, ["price_team_year"]),
    }
    time: dict[str | None, dict[str, float]] = {"week": {"days": 7}, "day": {"days": 1}}
    for step in [None, *life.split()]:
        if step in time:
            clock.advance(**time[step])
        else:
            steps.get(step, lambda: None)()
            hear(billing_env, acme)
        assert differences(billing_env) == [], step


def test_nothing_differs_where_plans_were_granted(
    billing_env: BillingEnv, make_account: AccountMaker, clock: Clock
) -> None:
    for granted in ("TEAM", "ENTERPRISE"):
        account = make_account(plan=granted)
        with transaction(account.org_id) as session:
            plans.grant(session, "FREE", TEST, clock())
        subscribe(billing_env, account)
        hear(billing_env, account)
        with transaction(account.org_id) as session:
            plans.grant(session, granted, TEST, clock())
    assert differences(billing_env) == []


@on_both_databases
def test_the_work_does_not_grow_with_the_organizations(
    app: Flask,
    billing_env: BillingEnv,
    make_account: AccountMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One query for all, read in parts, as are the provider's lists."""
    monkeypatch.setattr(reconciliation, "BATCH_SIZE", 3)
    monkeypatch.setattr(adapter, "PAGE", 3)
    counts = []
    for accounts in (1, 7):
        for _ in range(accounts):
            subscribe(billing_env, make_account(plan="FREE"))
        with statements(app) as asked:
            differences(billing_env)
        counts.append(len(asked))
    assert counts[0] == counts[1]
    found = differences(billing_env)
    assert len({one.org_id for one in found}) == 8
    assert all(reconciliation.repair(billing_env.provider, one) for one in found)
    assert differences(billing_env) == []
    with transaction() as session, unscoped(session, "a test"):
        repaired = select(Organization.plan_code).where(
            Organization.id.in_([one.org_id for one in found])
        )
        assert set(session.scalars(repaired)) == {"TEAM"}


class Down(StripePayments):
    """A provider that does not answer."""

    def subscriptions(self) -> Iterator[Subscription]:
        raise DependencyDown("The payment provider does not answer just now.")


def test_a_provider_that_is_down_is_a_sentence(
    run: Run, app: Flask, billing_env: BillingEnv
) -> None:
    tools, down = app.extensions["lightwell"], Down(ACCOUNT.stripe_secret_key, SECRETS, NOWHERE)
    app.extensions["lightwell"] = replace(
        tools, provider=replace(billing_env.provider, payments=down)
    )
    for arguments in ([], ["--repair"]):
        assert run("reconcile", *arguments) == (
            1,
            ["Error: The payment provider does not answer just now."],
        )


def test_without_a_provider_there_is_nothing_to_compare_with(
    run: Run,
) -> None:
    code, lines = run("reconcile")
    assert code == 1
    assert lines == [
        "Error: Payments are not configured on this server. Ask its operator to change the plan."
    ]


def test_a_metered_subscription_that_was_not_heard_of(
    app: Flask, run: Run, clock: Clock, acme: Account
) -> None:
    prices = Prices(ACCOUNT.stripe_prices, (PlanPrice("TEAM", "month", METERED),))
    with open_billing_env(app, clock, prices=prices, meter="images") as billing_env:
        subscribe(billing_env, acme, "price_team_month", METERED)
        check(run, billing_env, acme, "metered is False, should be True")
        assert billing_env.organization(acme).metered
