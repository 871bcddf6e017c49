"""Whatever order, number or moment the news comes in: the plan is what Stripe says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete, update

from app.errors import DependencyDown
from app.extensions import transaction
from app.models import FREE, BillingAccount, Organization, StripeEvent
from app.services.billing import inbox, plans, subscriptions
from app.services.billing.prices import Prices
from app.settings_types import PlanPrice
from tests.actors import STAFF, system
from tests.billing import SITE
from tests.conftest import AccountMaker
from tests.services.billing.faults import Broken, alarms, parsed, receive, unhandled
from tests.services.billing.oracle import BUSINESS, TEAM
from tests.services.billing.scenarios import STEPS, Life, life_of

pytestmark = pytest.mark.usefixtures("context")
SECOND = timedelta(seconds=1)


@pytest.fixture
def life(app: Flask, make_account: AccountMaker) -> Iterator[Life]:
    with life_of(app, make_account) as life:
        yield life


def live(life: Life, lives: int, eventful_share: float) -> None:
    """Live that many generated lives, of which so many must be eventful: else this proves
    little."""
    eventful = []

    @settings(max_examples=lives, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def as_stripe_says(steps: list[tuple[str, int]]) -> None:
        life.begin()
        eventful.append(sum(life.step(*step) for step in steps) >= 4)
        life.end()

    as_stripe_says()
    assert len(eventful) >= lives
    assert sum(eventful) > eventful_share * len(eventful)


def test_the_plan_is_what_stripe_says(life: Life) -> None:
    live(life, 25, eventful_share=0.1)


@pytest.mark.slow
def test_the_plan_is_what_stripe_says_in_a_thousand_lives(life: Life) -> None:
    live(life, 1000, eventful_share=0.5)


def test_every_order_of_five_events_ends_the_same(life: Life) -> None:
    """The first subscription is over and the second is paid in the end, whichever is told last."""
    first = life.subscribe(TEAM)
    life.stripe.subscriptions.cancel(first)
    second = life.subscribe(BUSINESS)
    life.stripe.customers.set_card(life.customer_id, "declines")
    life.stripe.subscriptions.end_period(second)
    life.stripe.customers.set_card(life.customer_id, "works")
    events = life.stripe.journal.events()
    told = {
        "customer.subscription.created",
        "customer.subscription.deleted",
        "invoice.payment_failed",
    }
    paid = [one for one in events if one["type"] == "invoice.paid"][-1]
    known = [
        parsed(life.billing_env, one)
        for one in [*(one for one in events if one["type"] in told), paid]
    ]
    assert len(known) == 5
    for order in permutations(known):
        with transaction(life.who.org_id) as session:
            for table in (StripeEvent, BillingAccount):
                session.change(delete(table))
            session.add(BillingAccount(customer_id=life.customer_id, customers=1, revision=0))
            session.change(
                update(Organization)
                .where(Organization.id == life.who.org_id)
                .values(plan_code=FREE)
            )
        with transaction() as session:
            for one in order:
                inbox.receive(session, one, life.calendar.now)
        inbox.handle(life.billing_env.provider, life.customer_id)
        assert (life.billing_env.organization(life.who).plan_code, unhandled()) == ("BUSINESS", [])
    life.check()


def test_of_two_subscriptions_the_one_in_order_counts_and_then_the_higher(life: Life) -> None:
    higher = life.subscribe(BUSINESS)
    life.calendar.advance(hours=1)
    newer = life.subscribe(TEAM)
    life.catch_up()
    assert (life.plan, life.billing_env.billing(life.who).subscription_id) == ("BUSINESS", higher)
    fall_behind(life, higher)
    assert (life.plan, life.billing_env.billing(life.who).subscription_id) == ("TEAM", newer)


def test_a_customer_that_is_gone_pays_nothing_and_another_can_be_made(life: Life) -> None:
    life.subscribe(TEAM)
    life.catch_up()
    life.stripe.customers.delete(life.customer_id)
    life.catch_up()
    assert (life.plan, life.billing_env.billing(life.who).customer_id) == ("FREE", None)
    life.check_out(Random())
    life.catch_up()
    assert life.plan == "BUSINESS"


# What is not paid


def fall_behind(life: Life, one: str) -> None:
    life.stripe.customers.set_card(life.customer_id, "declines")
    life.stripe.subscriptions.end_period(one)
    life.catch_up()


def test_an_overdue_plan_holds_for_seven_days_from_the_first_news(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.catch_up()
    fall_behind(life, one)
    life.calendar.advance(days=3)
    life.stripe.subscriptions.retry_payment(one)  # in vain, which is told as well
    life.catch_up()
    assert life.plan == "TEAM"
    life.calendar.advance(days=4, seconds=-1)
    assert life.plan == "TEAM"
    life.calendar.advance(seconds=1)
    assert life.plan == "FREE"
    life.stripe.subscriptions.retry_payment(one)
    life.catch_up()
    assert life.plan == "FREE"
    life.stripe.customers.set_card(life.customer_id, "works")
    life.catch_up()
    assert (life.plan, life.billing_env.organization(life.who).plan_lapses_at) == ("TEAM", None)


def test_the_next_failure_has_seven_days_of_its_own(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.catch_up()
    for _ in range(2):
        fall_behind(life, one)
        life.calendar.advance(days=7, seconds=-1)
        assert life.plan == "TEAM"
        life.stripe.customers.set_card(life.customer_id, "works")
        life.catch_up()


def test_what_was_given_up_is_free_at_once(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.catch_up()
    fall_behind(life, one)
    assert life.plan == "TEAM"
    life.stripe.subscriptions.give_up(one, "unpaid")
    life.catch_up()
    assert life.plan == "FREE"
    lapses_at = life.billing_env.organization(life.who).plan_lapses_at
    assert lapses_at
    assert lapses_at <= life.calendar.now
    life.check()
    life.stripe.customers.set_card(life.customer_id, "works")
    life.catch_up()
    assert life.plan == "TEAM"


def test_a_granted_plan_is_left_when_the_paid_one_lapses(life: Life) -> None:
    with transaction(life.who.org_id) as session:
        plans.grant(session, "TEAM", STAFF, life.calendar.now)
    one = life.subscribe(BUSINESS)
    life.catch_up()
    fall_behind(life, one)
    assert life.plan == "BUSINESS"
    life.calendar.advance(days=7)
    assert life.plan == "TEAM"


def test_a_lapse_is_written_down_once(life: Life) -> None:
    fall_behind(life, life.subscribe(TEAM))
    life.calendar.advance(days=7, seconds=-1)
    written = []
    for _ in range(3):
        plans.lapse_due(SITE, life.calendar.now)
        written.append(life.billing_env.organization(life.who).plan_code)
        life.calendar.advance(seconds=1)
    assert written == ["TEAM", "FREE", "FREE"]
    (entry,) = [
        entry for entry in life.billing_env.audit(life.who) if entry.action == "plan.lapsed"
    ]
    assert (entry.actor, entry.before, entry.after) == (
        system("grace period"),
        {"plan": "TEAM"},
        {"plan": "FREE"},
    )


# What we cannot read


@pytest.mark.parametrize("sold", [{"price_team_month": "TEAM"}, {BUSINESS: "GOLD", TEAM: "TEAM"}])
def test_an_unknown_price_changes_nothing_until_it_is_known(
    life: Life, caplog: pytest.LogCaptureFixture, sold: dict[str, str]
) -> None:
    narrow = Prices([PlanPrice(plan, "month", price_id) for price_id, plan in sold.items()], ())
    one = life.subscribe(TEAM)
    life.catch_up()
    before, entries = life.billing_env.billing(life.who), len(life.billing_env.audit(life.who))
    life.stripe.subscriptions.change_prices(one, [BUSINESS])
    life.arrive()
    inbox.work(replace(life.billing_env.provider, prices=narrow))
    (alarm,) = alarms(caplog)
    assert (alarm["event"], alarm["customer"]) == ("billing.unknown_price", life.customer_id)
    assert {event.outcome for event in unhandled()} == {alarm["error"]}
    assert (life.plan, life.billing_env.billing(life.who).revision) == ("TEAM", before.revision)
    assert len(life.billing_env.audit(life.who)) == entries
    life.calendar.advance(hours=1)
    inbox.work(life.billing_env.provider)
    assert (life.plan, unhandled()) == ("BUSINESS", [])
    assert len(life.billing_env.audit(life.who)) == entries + 1


# What nobody told


def test_a_renewal_that_nobody_told_is_asked_for(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.catch_up()
    ended = life.billing_env.billing(life.who).period_end
    assert ended
    life.calendar.now = ended
    life.stripe.subscriptions.end_period(one)
    life.calendar.advance(hours=2, seconds=-1)
    subscriptions.synchronise_due(life.billing_env.provider)
    assert life.billing_env.billing(life.who).period_end == ended
    life.calendar.advance(seconds=1)
    subscriptions.synchronise_due(life.billing_env.provider)
    renewed = life.billing_env.billing(life.who).period_end
    assert renewed
    assert renewed > ended + timedelta(days=27)
    assert [entry.actor for entry in life.billing_env.audit(life.who)][-1:] == [system("check")]


def test_an_end_that_nobody_told_is_asked_for(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.stripe.subscriptions.cancel(one, at_period_end=True)
    life.catch_up()
    cancel_at = life.billing_env.billing(life.who).cancel_at
    assert cancel_at
    life.calendar.now = cancel_at
    life.stripe.subscriptions.end_period(one)
    life.calendar.advance(hours=2)
    assert life.plan == "TEAM"
    subscriptions.synchronise_due(life.billing_env.provider)
    assert life.plan == "FREE"
    life.check()


def test_a_payment_that_nobody_told_is_asked_for_before_the_plan_lapses(life: Life) -> None:
    one = life.subscribe(TEAM)
    life.stripe.customers.set_card(life.customer_id, "declines")
    life.stripe.subscriptions.end_period(one)
    life.catch_up()
    life.stripe.customers.set_card(life.customer_id, "works")
    life.calendar.advance(days=1)
    subscriptions.synchronise_due(life.billing_env.provider)
    life.check()
    assert (
        life.billing_env.billing(life.who).status,
        life.billing_env.organization(life.who).plan_lapses_at,
    ) == ("active", None)


def test_who_did_not_answer_is_asked_again_later(life: Life) -> None:
    life.subscribe(TEAM)
    life.catch_up()
    life.calendar.advance(days=40)
    broken = Broken(life.billing_env.provider.payments, {life.customer_id: DependencyDown("down")})
    asked = []
    for _ in range(8):
        subscriptions.synchronise_due(replace(life.billing_env.provider, payments=broken))
        asked.append(len(broken.asked))
        life.calendar.advance(hours=1)
    assert asked == [1, 1, 1, 1, 1, 1, 2, 2]
    assert life.plan == "TEAM"


# Disputes, and news about others


def test_a_dispute_flags_the_organization_and_changes_nothing_else(life: Life) -> None:
    life.subscribe(TEAM)
    life.catch_up()
    life.calendar.advance(seconds=1)
    (charge,) = life.stripe.journal.all("charge", life.customer_id)
    life.stripe.invoices.dispute(charge["id"])
    news = life.stripe.journal.events()[-1]
    receive(life.billing_env, news)
    inbox.work(life.billing_env.provider)
    assert life.billing_env.organization(life.who).flag == f"The charge {charge['id']} is disputed."
    entry = life.billing_env.audit(life.who)[-1]
    assert (entry.action, entry.actor, entry.event_id) == (
        "organization.flagged",
        system("stripe"),
        news["id"],
    )
    assert (life.plan, unhandled()) == ("TEAM", [])


def test_news_about_others_is_noted_and_done(life: Life) -> None:
    other = life.stripe.customers.create("somebody@example.com")["id"]
    life.stripe.subscriptions.create(other, [TEAM])
    dispute = life.stripe.invoices.dispute(life.stripe.journal.all("charge", other)[0]["id"])
    news = life.stripe.journal.events()[-1]
    unknown = {**news, "id": "evt_unknown", "data": {"object": {**dispute, "charge": "ch_unknown"}}}
    created = next(
        one
        for one in life.stripe.journal.events()
        if one["type"] == "customer.subscription.created"
    )
    receive(life.billing_env, created, news, unknown)
    inbox.work(life.billing_env.provider)
    with transaction() as session:
        outcomes = {
            one: session.get_one(StripeEvent, one).outcome
            for one in (created["id"], news["id"], "evt_unknown")
        }
    assert set(outcomes.values()) == {"not a customer of ours"}
    assert (life.billing_env.organization(life.who).flag, unhandled()) == (None, [])
