"""Images that are paid one by one: each reaches the provider's meter once, whatever happens on the
way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.adapters.payments.interface import Payments
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import EntryState, MeterEvent, UsageEntry
from app.services.accounts import keys
from app.services.billing import metering
from app.services.billing.prices import Prices
from app.services.usage import reservations
from app.settings_types import PlanPrice
from tests.billing import ACCOUNT, METERED, BillingEnv, open_billing_env
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded

pytestmark = pytest.mark.usefixtures("context")
METERED_TEAM = PlanPrice("TEAM", "month", METERED)


@pytest.fixture
def metered_billing_env(app: Flask, clock: Clock) -> Iterator[BillingEnv]:
    """TEAM is sold by the month, and its images one by one besides."""
    with open_billing_env(
        app, clock, prices=Prices(ACCOUNT.stripe_prices, (METERED_TEAM,)), meter="images"
    ) as billing_env:
        yield billing_env


@pytest.fixture
def acme(metered_billing_env: BillingEnv, make_account: AccountMaker) -> Account:
    """Pays by the image."""
    account = make_account("acme", plan="FREE")
    buy(metered_billing_env, account)
    return account


def hear(billing_env: BillingEnv) -> None:
    """One of the news about a subscription is enough: each is only a reason to ask."""
    billing_env.deliver(
        [one for one in billing_env.new_events if one["type"].startswith("customer.subscription.")][
            -1:
        ]
    )
    billing_env.work()


def buy(billing_env: BillingEnv, account: Account) -> str:
    """Pay what the checkout of TEAM sells. Returns the id of the subscription."""
    customer = billing_env.customer(account)
    (session,) = (
        one
        for one in billing_env.stripe.journal.all("checkout.session", customer)
        if one["status"] == "open"
    )
    subscription = billing_env.stripe.checkout.complete(session["id"])["subscription"]
    hear(billing_env)
    return str(subscription)


def reserve(key: str, images: int, clock: Clock) -> reservations.Reservation:
    principal = keys.authenticate(key, clock())
    with transaction(principal.org_id) as session:
        return reservations.reserve(session, principal, "test", images, clock())


def settle(account: Account, reservation: reservations.Reservation, images: int) -> None:
    with transaction(account.org_id) as session:
        reservations.settle(session, reservation, images)


def spend(account: Account, images: int, clock: Clock) -> str:
    """The id of a ledger entry with so many images."""
    reservation = reserve(account.key, images, clock)
    settle(account, reservation, images)
    return reservation.entry_id


def waiting(account: Account) -> set[str]:
    """Ledger entries that are yet to be reported."""
    with transaction(account.org_id) as session:
        return set(session.scalars(select(MeterEvent.entry_id)))


def counted(billing_env: BillingEnv, account: Account) -> dict[str, int]:
    """Images by ledger entry, as the meter counts them; it would count an entry twice if it were
    told twice."""
    customer = billing_env.billing(account).customer_id
    payloads = [
        (event["identifier"], event["payload"])
        for event in billing_env.stripe.meter.all()
        if (event["event_name"], event["payload"]["stripe_customer_id"]) == ("images", customer)
    ]
    assert len(dict(payloads)) == len(payloads)
    return {entry_id: int(payload["value"]) for entry_id, payload in payloads}


class Breaking(StripePayments):
    """A provider that answers so many of its meter's calls, and then no more."""

    def __init__(self, payments: Payments, answers: int) -> None:
        self._payments = payments
        self._answers = answers
        self.calls: list[str] = []

    def meter(self, event_name: str, entry_id: str, *rest: Any) -> None:
        self.calls.append(entry_id)
        if len(self.calls) > self._answers:
            raise DependencyDown("nobody there")
        self._payments.meter(event_name, entry_id, *rest)


def test_metering_is_off_unless_it_is_configured(
    billing_env: BillingEnv, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(plan="FREE")
    buy(billing_env, account)
    assert billing_env.plan(account) == "TEAM"
    assert not keys.authenticate(account.key, clock()).allowance.metered
    spend(account, 3, clock)
    assert waiting(account) == set()
    assert metering.report(billing_env.provider) == 0


def test_every_settled_image_of_a_live_key_is_counted_once(
    client: ApiClient, metered_billing_env: BillingEnv, acme: Account, clock: Clock
) -> None:
    photo = encoded(width=64, height=48)
    compressed = client.compress(acme.key, photo, photo)
    assert compressed.status_code == 200
    assert client.compress(acme.key, b"no image").status_code == 422
    settle(acme, reserve(acme.test_key, 9, clock), 9)
    settle(acme, reserve(acme.key, 9, clock), 7)
    settle(acme, reserve(acme.key, 9, clock), 0)
    reserve(acme.key, 5, clock)
    with transaction(acme.org_id) as session:
        ledger = {entry.id: entry for entry in session.scalars(select(UsageEntry)) if entry.images}
    settled = {
        entry.id: entry.images for entry in ledger.values() if entry.state == EntryState.SETTLED
    }
    assert sorted(settled.values()) == [2, 7]
    assert waiting(acme) == set(settled)
    clock.advance(days=20)
    for _ in range(2):
        metering.report(metered_billing_env.provider)
        assert counted(metered_billing_env, acme) == settled
        assert waiting(acme) == set()
    for event in metered_billing_env.stripe.meter.all():
        assert event["timestamp"] == int(ledger[event["identifier"]].created_at.timestamp())


def test_those_who_pay_no_metered_price_are_not_metered(
    metered_billing_env: BillingEnv, make_account: AccountMaker, clock: Clock
) -> None:
    """They bought before it was sold, say."""
    account = make_account(plan="FREE")
    metered_billing_env.stripe.subscriptions.create(
        metered_billing_env.customer(account), ["price_team_month"]
    )
    hear(metered_billing_env)
    assert metered_billing_env.plan(account) == "TEAM"
    spend(account, 3, clock)
    assert waiting(account) == set()


@pytest.mark.parametrize(
    ("licensed", "sold"), [(ACCOUNT.stripe_prices, ["price_team_month", METERED]), ((), [METERED])]
)
def test_a_checkout_sells_metered_prices_with_the_others_or_alone(
    app: Flask,
    make_account: AccountMaker,
    clock: Clock,
    licensed: tuple[PlanPrice, ...],
    sold: list[str],
) -> None:
    """Without a quantity, which the fake Stripe would refuse as Stripe does."""
    account = make_account(plan="FREE")
    with open_billing_env(
        app, clock, prices=Prices(licensed, (METERED_TEAM,)), meter="images"
    ) as billing_env:
        subscription = billing_env.stripe.subscriptions.find(buy(billing_env, account))
        assert [item["price"]["id"] for item in subscription["items"]["data"]] == sold
        assert billing_env.plan(account) == "TEAM"
        entry = spend(account, 4, clock)
        metering.report(billing_env.provider)
        assert counted(billing_env, account) == {entry: 4}


def test_metering_ends_with_the_subscription_and_what_was_used_is_still_counted(
    metered_billing_env: BillingEnv, acme: Account, make_account: AccountMaker, clock: Clock
) -> None:
    last = spend(acme, 2, clock)
    under_way = reserve(acme.key, 3, clock)
    subscription_id = metered_billing_env.billing(acme).subscription_id
    assert subscription_id
    metered_billing_env.stripe.subscriptions.cancel(subscription_id)
    hear(metered_billing_env)
    assert not metered_billing_env.organization(acme).metered
    spend(acme, 5, clock)
    settle(acme, under_way, 3)
    assert waiting(acme) == {last, under_way.entry_id}
    metering.report(metered_billing_env.provider)
    assert counted(metered_billing_env, acme) == {last: 2, under_way.entry_id: 3}


def test_an_overdue_payment_does_not_end_metering(
    metered_billing_env: BillingEnv, acme: Account, clock: Clock
) -> None:
    account = metered_billing_env.billing(acme)
    assert account.customer_id
    assert account.subscription_id
    metered_billing_env.stripe.customers.set_card(account.customer_id, "declines")
    metered_billing_env.stripe.subscriptions.end_period(account.subscription_id)
    hear(metered_billing_env)
    entry = spend(acme, 2, clock)
    assert waiting(acme) == {entry}
    metering.report(metered_billing_env.provider)


@on_both_databases
def test_what_the_provider_did_not_take_waits_for_the_next_time(
    metered_billing_env: BillingEnv, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "BATCH_SIZE", 2)
    entries = {spend(acme, images, clock): images for images in (1, 2, 3, 4, 5)}
    provider = metered_billing_env.provider
    assert metering.report(replace(provider, payments=Breaking(provider.payments, 3))) == 3
    assert len(counted(metered_billing_env, acme)) == 3
    assert waiting(acme) == set(entries) - set(counted(metered_billing_env, acme))
    assert metering.report(replace(provider, payments=Breaking(provider.payments, 0))) == 0
    assert len(waiting(acme)) == 2
    assert metering.report(provider) == 2
    assert counted(metered_billing_env, acme) == entries
    assert waiting(acme) == set()


def test_a_provider_that_is_down_is_not_asked_about_everything(
    metered_billing_env: BillingEnv, acme: Account, clock: Clock
) -> None:
    entries = {spend(acme, 1, clock) for _ in range(2 * metering.THREADS + 4)}
    broken = Breaking(metered_billing_env.provider.payments, 0)
    metering.report(replace(metered_billing_env.provider, payments=broken))
    assert metering.THREADS <= len(broken.calls) < 2 * metering.THREADS
    assert waiting(acme) == entries
    metering.report(metered_billing_env.provider)
    assert waiting(acme) == set()


def test_a_crash_between_telling_and_noting_it_counts_nothing_twice(
    metered_billing_env: BillingEnv, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {spend(acme, images, clock): images for images in (1, 2)}
    with monkeypatch.context() as crash:
        crash.setattr(metering, "_forget", lambda _readings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            metering.report(metered_billing_env.provider)
    assert counted(metered_billing_env, acme) == entries
    assert waiting(acme) == set(entries)
    entries[spend(acme, 3, clock)] = 3
    clock.advance(days=2)
    metering.report(metered_billing_env.provider)
    assert counted(metered_billing_env, acme) == entries
    assert waiting(acme) == set()


@on_both_databases
def test_parallel_reporters_count_everything_once(
    app: Flask, metered_billing_env: BillingEnv, acme: Account, clock: Clock
) -> None:
    entries = {spend(acme, images, clock): images for images in range(1, 13)}

    def report(_: int) -> None:
        with app.app_context():
            metering.report(metered_billing_env.provider)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(report, range(3)))
    assert counted(metered_billing_env, acme) == entries
    assert waiting(acme) == set()


def test_what_is_too_old_or_nobody_s_is_given_up_and_told(
    metered_billing_env: BillingEnv,
    acme: Account,
    make_account: AccountMaker,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = make_account("gone", plan="FREE")
    buy(metered_billing_env, gone)
    old = spend(acme, 3, clock)
    clock.advance(days=34, minutes=1)
    fresh, lost = spend(acme, 4, clock), spend(gone, 5, clock)
    customer_id = metered_billing_env.billing(gone).customer_id
    assert customer_id
    metered_billing_env.stripe.customers.delete(customer_id)
    metering.report(metered_billing_env.provider)
    assert (waiting(acme), waiting(gone)) == (set(), set())
    assert counted(metered_billing_env, acme) == {fresh: 4}
    given_up = [line for line in caplog.messages if "metering.lost" in line]
    assert len(given_up) == 2
    for entry, images, account in ((old, 3, acme), (lost, 5, gone)):
        (line,) = (line for line in given_up if entry in line)
        assert account.org_id in line
        assert str(images) in line
