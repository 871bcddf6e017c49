"""Plans: what is granted and what is paid, and what they mean for the very next request.

Each request here has a key of its own: those of FREE may ask twice a second.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest
from flask import Flask

from app.errors import BadRequest
from app.extensions import transaction
from app.models import Actor, new_id
from app.services.accounts import keys
from app.services.accounts.principal import MEGABYTE
from app.services.billing import plans
from app.services.library import storage_quota
from app.services.usage import limits, periods, reservations
from tests.actors import OPERATOR, STAFF, TEST, system
from tests.billing import SITE, BillingEnv
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.databases import on_both_databases
from tests.images import encoded
from tests.images_client import ImagesClient
from tests.library import make_asset, store
from tests.workspace import presign

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def free(make_account: AccountMaker) -> Account:
    return make_account(plan="FREE")


def grant(account: Account, plan: str, clock: Clock, actor: Actor = OPERATOR) -> None:
    with transaction(account.org_id) as session:
        plans.grant(session, plan, actor, clock())


def spend(account: Account, images: int, clock: Clock) -> None:
    principal = keys.authenticate(account.key, clock())
    with transaction(account.org_id) as session:
        reserved = reservations.reserve(session, principal, "test", images, clock())
        reservations.settle(session, reserved, images)


def some_image(account: Account, clock: Clock) -> str:
    """The id of one in the library."""
    image = make_asset(new_id("image", clock()))
    with transaction(account.org_id, "live") as session:
        store(session, [image])
    return image.id


def month(account: Account, clock: Clock) -> tuple[int, int | None]:
    """Images used and left."""
    principal = keys.authenticate(account.key, clock())
    with transaction(account.org_id) as session:
        summary = limits.summarise(session, principal, clock())
    return summary.used, summary.remaining


def hear(billing_env: BillingEnv) -> None:
    """One of the news about a subscription is enough: each is only a reason to ask."""
    billing_env.deliver(
        [one for one in billing_env.new_events if one["type"].startswith("customer.subscription.")][
            -1:
        ]
    )
    billing_env.work()


def buy(billing_env: BillingEnv, account: Account, price: str = "price_team_month") -> str:
    """The id of a subscription that was paid and heard of."""
    subscription = billing_env.stripe.subscriptions.create(billing_env.customer(account), [price])
    hear(billing_env)
    return subscription["id"]


def fall_behind(billing_env: BillingEnv, subscription_id: str) -> None:
    """The next payment fails."""
    customer = billing_env.stripe.subscriptions.find(subscription_id)["customer"]
    billing_env.stripe.customers.set_card(customer, "declines")
    billing_env.stripe.subscriptions.end_period(subscription_id)
    hear(billing_env)


def next_month(now: datetime) -> datetime:
    """Its first moment."""
    return datetime.combine(periods.next_period(periods.period_of(now)), time(), UTC)


@on_both_databases
def test_the_higher_of_granted_and_paid_holds(
    billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    def after(change: Callable[[], object]) -> str:
        change()
        return billing_env.plan(free)

    subscription = buy(billing_env, free, "price_business_month")
    assert after(lambda: grant(free, "team", clock)) == "BUSINESS"
    assert after(lambda: grant(free, "ENTERPRISE", clock)) == "ENTERPRISE"
    assert after(lambda: grant(free, "FREE", clock)) == "BUSINESS"
    assert after(lambda: grant(free, "TEAM", clock)) == "BUSINESS"
    billing_env.stripe.subscriptions.cancel(subscription)
    assert after(billing_env.catch_up) == "TEAM"
    assert after(lambda: grant(free, "FREE", clock)) == "FREE"


def test_a_grant_outlives_a_subscription_that_falls_behind(
    billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    subscription = buy(billing_env, free, "price_business_month")
    grant(free, "TEAM", clock)
    fall_behind(billing_env, subscription)
    assert billing_env.plan(free) == "BUSINESS"
    clock.advance(days=7)
    assert billing_env.plan(free) == "TEAM"
    grant(free, "ENTERPRISE", clock)
    assert billing_env.plan(free) == "ENTERPRISE"
    grant(free, "FREE", clock)
    assert billing_env.plan(free) == "FREE"


def test_the_audit_tells_who_what_and_from_which_to_which(
    billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    subscription = buy(billing_env, free)
    grant(free, "BUSINESS", clock, STAFF)
    grant(free, "BUSINESS", clock, TEST)
    billing_env.stripe.subscriptions.cancel(subscription)
    hear(billing_env)
    grant(free, "FREE", clock)
    told = [
        (
            entry.actor,
            entry.action,
            entry.before.get("plan"),
            entry.after.get("plan"),
            bool(entry.event_id),
        )
        for entry in billing_env.audit(free)
    ]
    assert told[1:] == [
        (system("stripe"), "subscription.changed", "FREE", "TEAM", True),
        (STAFF, "plan.granted", "TEAM", "BUSINESS", False),
        (system("stripe"), "subscription.changed", None, None, True),
        (system("operator"), "plan.granted", "BUSINESS", "FREE", False),
    ]
    bought, granted, cancelled, _ = billing_env.audit(free)[1:]
    assert (bought.before["status"], bought.after["status"]) == (None, "active")
    assert (granted.before["granted"], granted.after["granted"]) == (None, "BUSINESS")
    assert (cancelled.before["paidPlan"], cancelled.after["paidPlan"]) == ("TEAM", None)


def test_an_unknown_plan_is_refused_and_changes_nothing(
    billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    with pytest.raises(BadRequest, match=r"There is no plan GOLD\. Plans: FREE, TEAM"):
        grant(free, "GOLD", clock)
    assert (billing_env.plan(free), billing_env.audit(free)) == ("FREE", [])


def test_limits_change_with_the_next_request_and_back(
    billing_env: BillingEnv, client: ApiClient, free: Account, make_key: KeyMaker
) -> None:
    def seen() -> tuple[object, ...]:
        library = client.get("/api/v1/assets", headers=bearer(make_key(free)))
        month = client.get("/usage", headers=bearer(make_key(free)))
        large = presign(client, make_key(free), 60 * MEGABYTE)
        speed = month.headers["X-RateLimit-Limit"]
        return (
            month.json["plan"],
            month.json["limit"],
            speed,
            library.status_code,
            large.status_code,
        )

    nothing_paid = ("FREE", 100, "20", 402, 402)
    assert seen() == nothing_paid
    subscription = buy(billing_env, free)
    assert seen() == ("TEAM", 20_000, "30", 200, 413)
    billing_env.stripe.subscriptions.change_prices(subscription, ["price_business_month"])
    hear(billing_env)
    assert seen() == ("BUSINESS", 200_000, "100", 200, 200)
    billing_env.stripe.subscriptions.change_prices(subscription, ["price_team_year"])
    hear(billing_env)
    assert seen() == ("TEAM", 20_000, "30", 200, 413)
    billing_env.stripe.subscriptions.cancel(subscription, at_period_end=True)
    hear(billing_env)
    assert billing_env.plan(free) == "TEAM"
    billing_env.stripe.subscriptions.end_period(subscription)
    hear(billing_env)
    assert seen() == nothing_paid


def test_what_is_used_this_month_stays_used(
    billing_env: BillingEnv, client: ApiClient, free: Account, make_key: KeyMaker, clock: Clock
) -> None:
    """Through an upgrade and back; the next month begins by the calendar, with nobody's doing."""
    image = some_image(free, clock)
    spend(free, 100, clock)
    assert month(free, clock) == (100, 0)
    subscription = buy(billing_env, free)
    assert month(free, clock) == (100, 19_900)
    spend(free, 50, clock)
    billing_env.stripe.subscriptions.cancel(subscription)
    hear(billing_env)
    assert month(free, clock) == (150, 0)
    batch = client.compress(make_key(free), encoded())
    assert (batch.status_code, batch.json["code"]) == (429, "monthly_limit_reached")
    made = ImagesClient(client, make_key(free)).post(f"/{image}/mirror", mode="vertical")
    assert (made.status_code, made.json["code"]) == (402, "quota_exceeded")
    assert "0 of 100 are left on the FREE plan" in made.json["error"]
    assert "payment" not in made.json["error"]
    clock.set(next_month(clock()))
    assert month(free, clock) == (0, 100)


def refusals(client: ApiClient, account: Account, make_key: KeyMaker, image: str) -> list[str]:
    """What the workspace API, both kinds of quota, and storage say to somebody who has used up
    all."""
    answers = [
        client.get("/api/v1/assets", headers=bearer(make_key(account))),
        client.compress(make_key(account), encoded()),
        ImagesClient(client, make_key(account)).post(f"/{image}/mirror", mode="vertical"),
        presign(client, account.test_key, 1),
    ]
    assert [answer.status_code for answer in answers[1:]] == [429, 402, 402]
    return [answer.json["error"] for answer in answers if answer.status_code >= 400]


def test_refusals_say_that_a_payment_is_overdue_and_where_to_pay(
    billing_env: BillingEnv, client: ApiClient, free: Account, make_key: KeyMaker, clock: Clock
) -> None:
    image = some_image(free, clock)
    subscription = buy(billing_env, free)
    spend(free, 20_000, clock)
    with transaction(free.org_id) as session:
        storage_quota.reserve(
            session, keys.authenticate(free.key, clock()).allowance, 100 * 1024 * MEGABYTE
        )
    fall_behind(billing_env, subscription)
    end = billing_env.organization(free).plan_lapses_at
    assert end
    during = refusals(client, free, make_key, image)
    warning = (
        f"The last payment failed: the TEAM plan ends on {end:%Y-%m-%d} unless it is paid. POST "
        "/billing/portal "
    )
    assert len(during) == 3
    assert all(warning in message for message in during)

    clock.set(end)
    after = refusals(client, free, make_key, image)
    assert len(after) == 4
    reason = "The last payment failed, so the plan is FREE until it is paid. POST /billing/portal "
    assert all(reason in message for message in after)

    customer_id = billing_env.billing(free).customer_id
    assert customer_id
    billing_env.stripe.customers.set_card(customer_id, "works")
    hear(billing_env)
    paid = refusals(client, free, make_key, image)
    assert len(paid) == 3
    assert not any("payment" in message for message in paid)


def test_a_granted_plan_does_not_end_with_a_payment_for_another(
    billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    fall_behind(billing_env, buy(billing_env, free))
    grant(free, "BUSINESS", clock)
    assert keys.authenticate(free.key, clock()).allowance.arrears == ""
    grant(free, "FREE", clock)
    assert "the TEAM plan ends on" in keys.authenticate(free.key, clock()).allowance.arrears


@on_both_databases
def test_it_is_written_down_once_that_a_plan_has_lapsed(
    app: Flask, billing_env: BillingEnv, free: Account, clock: Clock
) -> None:
    fall_behind(billing_env, buy(billing_env, free))

    def lapsed() -> int:
        plans.lapse_due(SITE, clock())
        return sum(entry.action == "plan.lapsed" for entry in billing_env.audit(free))

    assert lapsed() == 0
    clock.advance(days=7)
    assert billing_env.organization(free).plan_code == "TEAM"
    assert (lapsed(), lapsed()) == (1, 1)
    assert billing_env.organization(free).plan_code == "FREE"
    entry = billing_env.audit(free)[-1]
    assert (entry.actor, entry.before, entry.after) == (
        system("grace period"),
        {"plan": "TEAM"},
        {"plan": "FREE"},
    )
    assert "plans: " not in app.test_cli_runner().invoke(args=["sweep"]).stdout
