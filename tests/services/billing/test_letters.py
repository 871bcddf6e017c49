"""Owners are told by mail of what changes in what they pay for, once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Mail, Role
from app.services.billing import plans
from app.services.billing.letters import letter_about
from tests.billing import SITE, BillingEnv
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases
from tests.services.billing.faults import killed_at, receive

pytestmark = pytest.mark.usefixtures("context")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def payer(make_account: AccountMaker) -> Account:
    return make_account("payer", plan="FREE")


def subjects(billing_env: BillingEnv, account: Account) -> list[str]:
    """The subjects, with the organization's name as "_"."""
    organization = name_of(account)
    return [mail.subject.replace(organization, "_") for mail in billing_env.letters(account)]


def name_of(account: Account) -> str:
    return account.email.partition("@")[0]


def subscribe(billing_env: BillingEnv, account: Account) -> str:
    made = billing_env.stripe.subscriptions.create(
        billing_env.customer(account), ["price_team_month"]
    )
    billing_env.catch_up()
    return str(made["id"])


def fall_behind(billing_env: BillingEnv, subscription_id: str) -> None:
    customer = billing_env.stripe.subscriptions.find(subscription_id)["customer"]
    billing_env.stripe.customers.set_card(customer, "declines")
    billing_env.stripe.subscriptions.end_period(subscription_id)
    billing_env.catch_up()


@on_both_databases
def test_a_payment_that_fails_and_the_plan_that_lapses_are_told_once(
    billing_env: BillingEnv, payer: Account, clock: Clock
) -> None:
    subscription = subscribe(billing_env, payer)
    fall_behind(billing_env, subscription)
    billing_env.deliver(billing_env.stripe.journal.events())
    billing_env.work()
    told = ["_ is on the Team plan", "A payment of _ failed"]
    assert subjects(billing_env, payer) == told
    letter = billing_env.letters(payer)[-1]
    assert f"{SITE}{payer.home}/billing" in str(letter.text)
    assert f'href="{SITE}{payer.home}/billing"' in str(letter.html)
    assert "27 Nov 2026" in str(letter.text)
    clock.advance(days=7)
    for _ in range(2):
        plans.lapse_due(SITE, clock())
    assert subjects(billing_env, payer) == [*told, "_ is on the Free plan until it pays"]
    billing_env.stripe.customers.set_card(billing_env.billing(payer).customer_id or "", "works")
    billing_env.catch_up()
    assert subjects(billing_env, payer)[3:] == ["_ is on the Team plan"]
    billing_env.stripe.subscriptions.cancel(subscription)
    billing_env.catch_up()
    assert subjects(billing_env, payer)[4:] == ["The Team plan of _ has ended"]


def test_all_owners_and_nobody_else_are_told(
    app: Flask, billing_env: BillingEnv, payer: Account, sign_in: SignIn
) -> None:
    for role in Role:
        sign_in(payer, role)
    subscribe(billing_env, payer)
    with transaction() as session:
        told = session.scalars(
            select(Mail.recipient).where(Mail.subject == f"{name_of(payer)} is on the Team plan")
        ).all()
    assert len(told) == 2
    assert {one.partition("-")[0] for one in told} == {"payer", "owner"}


@on_both_databases
def test_a_worker_that_dies_tells_it_once_all_the_same(
    billing_env: BillingEnv, payer: Account, clock: Clock
) -> None:
    billing_env.stripe.subscriptions.create(billing_env.customer(payer), ["price_team_month"])
    receive(billing_env, *billing_env.new_events)
    for moment in range(24):
        with killed_at(moment):
            billing_env.work()
        clock.advance(minutes=2)
    billing_env.work()
    assert subjects(billing_env, payer) == ["_ is on the Team plan"]


def state(**changes: Any) -> dict[str, Any]:
    return {"plan": "FREE", "lapsesAt": None, "paidPlan": None, "interval": None, **changes}


TEAM = state(plan="TEAM", paidPlan="TEAM", interval="month")
LATER, EARLIER = NOW + timedelta(days=7), NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "after", "letter"),
    [
        (state(), TEAM, "plan_changed"),
        (TEAM, TEAM, None),
        (TEAM, TEAM | {"interval": "year"}, "plan_changed"),
        (TEAM, TEAM | {"plan": "BUSINESS", "paidPlan": "BUSINESS"}, "plan_changed"),
        (TEAM, state(), "plan_ended"),
        (TEAM, TEAM | {"lapsesAt": LATER}, "payment_failed"),
        (TEAM | {"lapsesAt": LATER}, TEAM | {"lapsesAt": LATER}, None),
        (TEAM | {"lapsesAt": LATER}, TEAM, None),
        (TEAM | {"lapsesAt": LATER}, state(lapsesAt=EARLIER), "plan_lapsed"),
        (TEAM, state(lapsesAt=NOW), "plan_lapsed"),
        (state(lapsesAt=EARLIER), state(lapsesAt=EARLIER), None),
        (state(paidPlan="TEAM", lapsesAt=EARLIER), TEAM, "plan_changed"),
        (state(plan="TEAM"), state(plan="TEAM"), None),
    ],
)
def test_which_letter_a_change_calls_for(
    before: dict[str, Any], after: dict[str, Any], letter: str | None
) -> None:
    assert letter_about(before, after, NOW) == letter
