"""``flask billing reconcile``: what differs from the payment provider is found, told, and
mended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from app.adapters import stripe_payments
from app.adapters.payments import Subscription
from app.adapters.stripe_payments import StripePayments
from app.config import PlanPrice
from app.errors import DependencyDown
from app.extensions import db, transaction
from app.models import FREE, BillingAccount, Organization
from app.services import plans, reconciliation, subscriptions
from app.services.prices import Prices
from app.tenancy import unscoped
from tests.billing import ACCOUNT, METERED, SECRETS, Till, open_till
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.services.perils import forget_everybody
from tests.webhooks.events import NOWHERE

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def alone(context: None) -> None:
    """Everybody is compared, so whoever is left here of earlier tests has never been at the
    till."""
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


def subscribe(till: Till, account: Account, *prices: str) -> str:
    """The id of a subscription of which nothing was heard."""
    return str(till.books.subscribe(till.customer(account), prices or ["price_team_month"])["id"])


def hear(till: Till, account: Account) -> None:
    """Any news does: each is only a reason to ask."""
    customer = till.billing(account).customer_id
    assert customer
    assert subscriptions.synchronise(till.provider, customer, "test")


def edit(account: Account, model: type[Organization | BillingAccount], **values: object) -> None:
    """What somebody does to a row by hand."""
    with transaction(account.org_id) as session:
        rows = model.org_id if issubclass(model, BillingAccount) else model.id
        assert session.change(update(model).where(rows == account.org_id).values(**values))


def differences(till: Till) -> list[reconciliation.Difference]:
    return list(reconciliation.differences(till.provider))


def check(run: Run, till: Till, account: Account, problem: str) -> None:
    """It is found and told, left alone until it is to be mended, and gone then."""
    who = f"{account.org_id} {till.billing(account).customer_id}: "
    before = till.plan(account)
    code, lines = run("reconcile")
    assert (code, lines[1:]) == (1, ["Differences: 1, mended: 0."])
    assert lines[0].startswith(who)
    assert problem in lines[0]
    assert till.plan(account) == before
    assert run("reconcile", "--mend") == (0, [f"{lines[0]} (mended)", "Differences: 1, mended: 1."])
    assert run("reconcile") == (0, ["Differences: 0, mended: 0."])
    assert till.audit(account)[-1].actor == "reconcile"


def test_a_life_of_which_nothing_was_heard(
    run: Run, till: Till, acme: Account, clock: Clock
) -> None:
    one, books = subscribe(till, acme), till.books
    customer = till.billing(acme).customer_id
    assert customer
    check(
        run,
        till,
        acme,
        "status is None, should be active; plan is None, should be TEAM; interval is None, should ",
    )
    steps: list[tuple[Callable[[], object], str, str]] = [
        (lambda: books.end_period(one), "period_end is ", "TEAM"),
        (
            lambda: books.change_prices(one, ["price_business_year"]),
            "plan is TEAM, should be BUSINESS; interval is month, should be year; period_end is ",
            "BUSINESS",
        ),
        (
            lambda: books.cancel(one, at_period_end=True),
            "cancel_at is None, should be 20",
            "BUSINESS",
        ),
        (lambda: books.keep(one), ", should be None", "BUSINESS"),
        (
            lambda: books.set_card(customer, "declines") and books.end_period(one),
            "active, should be past_due",
            "BUSINESS",
        ),
        (
            lambda: books.give_up(one, "unpaid"),
            "past_due, should be unpaid; plan is BUSINESS, should be None",
            "FREE",
        ),
        (
            lambda: books.set_card(customer, "works"),
            "unpaid, should be active; plan is None, should be ",
            "BUSINESS",
        ),
        (
            lambda: books.pause(one),
            "active, should be paused; plan is BUSINESS, should be None",
            "FREE",
        ),
        (
            lambda: books.subscribe(customer, ["price_team_month"]),
            "plan is None, should be TEAM",
            "TEAM",
        ),
        (lambda: books.resume(one), "plan is TEAM, should be BUSINESS", "BUSINESS"),
        (lambda: books.cancel(one), "plan is BUSINESS, should be TEAM", "TEAM"),
        (
            lambda: books.delete_customer(customer),
            "status is active, should be None; plan is TEAM, ",
            "FREE",
        ),
    ]
    for happens, problem, plan in steps:
        clock.advance(hours=1)
        happens()
        check(run, till, acme, problem)
        assert till.plan(acme) == plan


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


def test_rows_that_were_edited_by_hand(run: Run, till: Till, acme: Account) -> None:
    subscribe(till, acme)
    hear(till, acme)
    for model, values, problem in EDITED:
        edit(acme, model, **values)
        check(run, till, acme, problem)
        assert till.plan(acme) == "TEAM"


@pytest.mark.usefixtures("till")
def test_an_organization_that_never_paid(run: Run, acme: Account) -> None:
    for values, problem in (
        ({"plan_code": "TEAM"}, "plan in force is TEAM, should be FREE"),
        ({"metered": True}, "metered is True, should be False"),
    ):
        edit(acme, Organization, **values)
        assert run("reconcile") == (1, [f"{acme.org_id}: {problem}", "Differences: 1, mended: 0."])
        assert run("reconcile", "--mend")[0] == 0
        assert run("reconcile") == (0, ["Differences: 0, mended: 0."])


def test_a_price_that_nobody_named_is_told_and_left_alone(
    run: Run, app: Flask, clock: Clock, acme: Account
) -> None:
    """Until it is named."""
    without_business = [price for price in ACCOUNT.stripe_prices if price.plan != "BUSINESS"]
    with open_till(app, clock, prices=Prices(without_business, ())) as till:
        subscription = subscribe(till, acme)
        hear(till, acme)
        till.books.change_prices(subscription, ["price_business_month"])
        who = f"{acme.org_id} {till.billing(acme).customer_id}"
        problem = (
            f"{who}: {subscription} pays price_business_month, which STRIPE_PRICES does not name"
        )
        for arguments in ([], ["--mend"]):
            assert run("reconcile", *arguments) == (1, [problem, "Differences: 1, mended: 0."])
        assert till.plan(acme) == "TEAM"
        found = differences(till)
        named = replace(till.provider, prices=Prices(ACCOUNT.stripe_prices, ()))
        assert [reconciliation.mend(named, one) for one in found] == [True]
        assert till.plan(acme) == "BUSINESS"


def test_a_customer_who_pays_and_is_nobody_here_is_told(run: Run, till: Till) -> None:
    stranger = till.books.create_customer("stranger@example.com")["id"]
    till.books.subscribe(stranger, ["price_business_year"])
    problem = f"{stranger}: pays for BUSINESS, and is no workspace's customer"
    for arguments in ([], ["--mend"]):
        assert run("reconcile", *arguments) == (1, [problem, "Differences: 1, mended: 0."])


def test_other_things_that_the_same_account_sells_are_nobody_s_business(
    run: Run, till: Till
) -> None:
    """Nor is what was never paid."""
    other, former = (
        till.books.create_customer(f"{name}@example.com")["id"] for name in ("other", "former")
    )
    till.books.subscribe(other, [METERED])
    till.books.expire_incomplete(
        till.books.subscribe(former, ["price_team_month"], card="declines")["id"]
    )
    till.books.delete_customer(former)
    assert run("reconcile") == (0, ["Differences: 0, mended: 0."])


LIVES = [
    ("change_prices cancel_later keep end_period pause resume cancel", {}),
    ("end_period declines end_period works declines end_period unpaid works", {"trial_days": 14}),
    ("declines end_period week day works declines end_period give_up", {}),
    ("expire subscribe", {"card": "declines"}),
]


@pytest.mark.parametrize(("life", "begins"), LIVES)
def test_nothing_differs_in_a_life_that_was_heard_of(
    till: Till, acme: Account, clock: Clock, life: str, begins: dict[str, Any]
) -> None:
    """Nor once a plan has lapsed, which no news tells."""
    customer, books = till.customer(acme), till.books
    one = books.subscribe(customer, ["price_team_month"], **begins)["id"]
    steps: dict[str | None, Callable[[], object]] = {
        "change_prices": lambda: books.change_prices(one, ["price_business_month"]),
        "cancel_later": lambda: books.cancel(one, at_period_end=True),
        "keep": lambda: books.keep(one),
        "end_period": lambda: books.end_period(one),
        "pause": lambda: books.pause(one),
        "resume": lambda: books.resume(one),
        "declines": lambda: books.set_card(customer, "declines"),
        "works": lambda: books.set_card(customer, "works"),
        "unpaid": lambda: books.give_up(one, "unpaid"),
        "give_up": lambda: books.give_up(one, "canceled"),
        "expire": lambda: books.expire_incomplete(one),
        "cancel": lambda: books.cancel(one),
        "subscribe": lambda: books.subscribe(customer, ["price_team_year"]),
    }
    time: dict[str | None, dict[str, float]] = {"week": {"days": 7}, "day": {"days": 1}}
    for step in [None, *life.split()]:
        if step in time:
            clock.advance(**time[step])
        else:
            steps.get(step, lambda: None)()
            hear(till, acme)
        assert differences(till) == [], step


def test_nothing_differs_where_plans_were_granted(
    till: Till, make_account: AccountMaker, clock: Clock
) -> None:
    for granted in ("TEAM", "ENTERPRISE"):
        account = make_account(plan=granted)
        with transaction(account.org_id) as session:
            plans.grant(session, "FREE", "test", clock())
        subscribe(till, account)
        hear(till, account)
        with transaction(account.org_id) as session:
            plans.grant(session, granted, "test", clock())
    assert differences(till) == []


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@on_both_databases
def test_the_work_does_not_grow_with_the_organizations(
    till: Till, make_account: AccountMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query for all, read in parts, as are the provider's lists."""
    monkeypatch.setattr(reconciliation, "ROWS", 3)
    monkeypatch.setattr(stripe_payments, "PAGE", 3)
    counts = []
    for accounts in (1, 7):
        for _ in range(accounts):
            subscribe(till, make_account(plan="FREE"))
        with statements() as asked:
            differences(till)
        counts.append(len(asked))
    assert counts[0] == counts[1]
    found = differences(till)
    assert len({one.org_id for one in found}) == 8
    assert all(reconciliation.mend(till.provider, one) for one in found)
    assert differences(till) == []
    with transaction() as session, unscoped(session, "a test"):
        mended = select(Organization.plan_code).where(
            Organization.id.in_([one.org_id for one in found])
        )
        assert set(session.scalars(mended)) == {"TEAM"}


class Down(StripePayments):
    """A provider that does not answer."""

    def subscriptions(self) -> Iterator[Subscription]:
        raise DependencyDown("The payment provider does not answer just now.")


def test_a_provider_that_is_down_is_a_sentence(run: Run, app: Flask, till: Till) -> None:
    tools, down = app.extensions["lightwell"], Down(ACCOUNT.stripe_secret_key, SECRETS, NOWHERE)
    app.extensions["lightwell"] = replace(tools, provider=replace(till.provider, payments=down))
    for arguments in ([], ["--mend"]):
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
    with open_till(app, clock, prices=prices, meter="images") as till:
        subscribe(till, acme, "price_team_month", METERED)
        check(run, till, acme, "metered is False, should be True")
        assert till.organization(acme).metered
