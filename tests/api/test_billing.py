"""``/billing``: what is sold to whom, on which page, and to one customer only."""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app.adapters.payments.interface import ChangeRefused, CustomerGone
from app.services import audit
from app.services.billing import subscriptions
from app.services.billing.prices import Prices
from app.settings_types import PlanPrice
from tests.billing import ACCOUNT, METERED, SECRETS, BillingEnv, open_billing_env
from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.databases import on_both_databases
from tests.services.billing.faults import forget_everybody


@pytest.fixture
def payer(make_account: AccountMaker) -> Account:
    """A workspace on a plan that costs nothing, which takes requests in bursts."""
    return make_account("payer", plan="FREE", requests_per_second=1000)


@pytest.fixture
def buy(client: ApiClient, payer: Account) -> Ask:
    def buy(
        plan: object = "TEAM", headers: dict[str, str] | None = None, **fields: object
    ) -> Answer:
        return client.post(
            "/billing/checkout",
            headers={**bearer(payer.key), **(headers or {})},
            json={"plan": plan, **fields},
        )

    return buy


def portal(client: ApiClient, key: str, **headers: str) -> Answer:
    return client.post("/billing/portal", headers={**bearer(key), **headers})


def session_of(
    billing_env: BillingEnv, answer: Answer, kind: str = "checkout.session"
) -> dict[str, Any]:
    """The session whose page an answer leads to."""
    assert answer.status_code == 200, answer.json
    (session,) = [
        entry
        for entry in billing_env.stripe.journal.all(kind)
        if entry["url"] == answer.json["url"]
    ]
    return session


def pay(billing_env: BillingEnv, answer: Answer) -> str:
    """Pay on the page; returns the id of the subscription."""
    return str(
        billing_env.stripe.checkout.complete(session_of(billing_env, answer)["id"])["subscription"]
    )


def prices_of(billing_env: BillingEnv, subscription_id: str) -> list[str]:
    return [
        item["price"]["id"]
        for item in billing_env.stripe.subscriptions.find(subscription_id)["items"]["data"]
    ]


def assert_conflict(answer: Answer, *words: str) -> None:
    assert (answer.status_code, answer.json["code"]) == (409, "conflict"), answer.json
    assert not [word for word in words if word not in answer.json["error"]], answer.json["error"]


# What is sold


def test_a_checkout_sells_what_was_asked_for(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    for asked, price in (
        ({"plan": "TEAM"}, "price_team_month"),
        ({"plan": "TEAM", "interval": "month"}, "price_team_month"),
        ({"plan": "TEAM", "interval": "year"}, "price_team_year"),
        ({"plan": "business"}, "price_business_month"),
        ({"plan": "Business", "interval": "year"}, "price_business_year"),
    ):
        session = session_of(billing_env, buy(**asked))
        assert list(billing_env.stripe.checkout.order(session["id"]).price_ids) == [price]
        assert session["customer"] == billing_env.billing(payer).customer_id
        assert session["client_reference_id"] == payer.org_id


def test_the_plan_changes_when_it_is_paid(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    session = session_of(billing_env, buy("BUSINESS", interval="year"))
    subscription = billing_env.stripe.checkout.complete(session["id"])["subscription"]
    assert billing_env.stripe.subscriptions.find(subscription)["metadata"] == {
        "org_id": payer.org_id
    }
    assert billing_env.plan(payer) != "BUSINESS"
    billing_env.catch_up()
    assert billing_env.plan(payer) == "BUSINESS"


def test_the_page_leads_back_to_ours(billing_env: BillingEnv, client: ApiClient, buy: Ask) -> None:
    session = session_of(billing_env, buy())
    for name, how in (("success_url", "done"), ("cancel_url", "cancelled")):
        assert session[name] == f"http://localhost/plans?checkout={how}"
        assert client.get(session[name]).status_code == 200


def test_the_customer_is_the_workspace_s_owner(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    buy()
    customer = billing_env.stripe.customers.find(billing_env.billing(payer).customer_id or "")
    assert customer["email"] == payer.email
    assert customer["metadata"] == {"org_id": payer.org_id}
    (entry,) = billing_env.audit(payer)[-1:]
    assert (entry.action, entry.after) == ("customer.created", {"customer": customer["id"]})


NOT_SOLD: list[tuple[dict[str, object], str]] = [
    ({"plan": "GOLD"}, "plan"),
    ({"plan": "FREE"}, "plan"),
    ({"plan": "free"}, "plan"),
    ({"plan": "ENTERPRISE"}, "plan"),
    ({"plan": ""}, "plan"),
    ({"plan": "T" * 33}, "plan"),
    ({"plan": "TEAM\n"}, "plan"),
    ({"plan": None}, "plan"),
    ({"plan": 7}, "plan"),
    ({"plan": ["TEAM"]}, "plan"),
    ({"plan": "TEAM", "interval": "week"}, "interval"),
    ({"plan": "TEAM", "interval": None}, "interval"),
    ({"plan": "TEAM", "interval": "MONTH"}, "interval"),
    ({"plan": "TEAM", "price": "price_mine"}, "price"),
    ({"plan": "TEAM", "customer": "cus_mine"}, "customer"),
]


def test_what_is_not_sold_is_refused_by_its_field(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    for asked, field in NOT_SOLD:
        answer = buy(**asked)
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
        assert [problem.split(":")[0] for problem in answer.json["errors"]] == [field], asked
    answer = client.post("/billing/checkout", headers=bearer(payer.key), json={})
    assert (answer.status_code, answer.json["errors"]) == (400, ["plan: is required"])
    assert billing_env.stripe.customers.all() == []


def test_a_plan_is_refused_where_it_is_not_sold_by_the_year(
    app: Flask, clock: Clock, payer: Account, buy: Ask
) -> None:
    prices = Prices([PlanPrice("TEAM", "month", "price_team_month")], ())
    with open_billing_env(app, clock, prices=prices) as billing_env:
        answer = buy(interval="year")
        assert (answer.status_code, answer.json["errors"]) == (400, ["interval: not sold"])
        answer = buy("BUSINESS")
        assert (answer.status_code, answer.json["errors"]) == (400, ["plan: not for sale"])
        assert answer.json["error"].endswith("Plans: TEAM.")
        assert session_of(billing_env, buy())


def test_of_several_prices_of_a_plan_the_first_is_sold_and_the_others_still_hold(
    app: Flask, clock: Clock, payer: Account, buy: Ask
) -> None:
    old, new = (
        PlanPrice("TEAM", "month", "price_business_month"),
        PlanPrice("TEAM", "month", "price_team_month"),
    )
    with open_billing_env(app, clock, prices=Prices([new, old], ())) as billing_env:
        subscription = pay(billing_env, buy())
        assert prices_of(billing_env, subscription) == ["price_team_month"]
        billing_env.stripe.subscriptions.change_prices(subscription, ["price_business_month"])
        billing_env.catch_up()
        assert billing_env.plan(payer) == "TEAM"


def test_a_metered_price_is_sold_with_the_other(
    app: Flask, clock: Clock, payer: Account, buy: Ask
) -> None:
    prices = Prices(
        [PlanPrice("TEAM", "month", "price_team_month")], [PlanPrice("TEAM", "month", METERED)]
    )
    with open_billing_env(app, clock, prices=prices) as billing_env:
        assert prices_of(billing_env, pay(billing_env, buy())) == ["price_team_month", METERED]
        billing_env.catch_up()
        assert billing_env.plan(payer) == "TEAM"
        assert billing_env.organization(payer).metered


# To whom


def test_a_key_that_only_reads_buys_nothing(
    billing_env: BillingEnv, client: ApiClient, payer: Account, make_key: KeyMaker
) -> None:
    reading, writing = make_key(payer, scopes=("read",)), make_key(payer, scopes=("write",))
    for path in ("checkout", "portal"):
        answer = client.post(f"/billing/{path}", headers=bearer(reading), json={"plan": "TEAM"})
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert billing_env.stripe.customers.all() == []
    answer = client.post("/billing/checkout", headers=bearer(writing), json={"plan": "TEAM"})
    assert answer.status_code == 200


def test_a_test_key_spends_no_money(
    billing_env: BillingEnv, client: ApiClient, payer: Account
) -> None:
    for path in ("checkout", "portal"):
        answer = client.post(
            f"/billing/{path}", headers=bearer(payer.test_key), json={"plan": "TEAM"}
        )
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
        assert "live key" in answer.json["error"]
    assert billing_env.stripe.customers.all() == []


def test_nobody_pays_for_what_was_granted(
    billing_env: BillingEnv, client: ApiClient, make_account: AccountMaker
) -> None:
    granted = make_account("granted", plan="BUSINESS")
    for plan in ("TEAM", "BUSINESS"):
        answer = client.post("/billing/checkout", headers=bearer(granted.key), json={"plan": plan})
        assert_conflict(answer, "BUSINESS plan already")
    assert billing_env.stripe.customers.all() == []


def test_a_plan_above_the_granted_one_is_sold(
    billing_env: BillingEnv, client: ApiClient, make_account: AccountMaker
) -> None:
    granted = make_account("granted", plan="TEAM")
    answer = client.post(
        "/billing/checkout", headers=bearer(granted.key), json={"plan": "BUSINESS"}
    )
    pay(billing_env, answer)
    billing_env.catch_up()
    assert billing_env.plan(granted) == "BUSINESS"


def test_without_a_provider_payments_are_not_implemented(
    client: ApiClient, payer: Account, buy: Ask
) -> None:
    for answer in (buy(), portal(client, payer.key)):
        assert (answer.status_code, answer.json["code"]) == (501, "not_configured")


# What has been bought already


def test_the_plan_that_is_paid_is_not_sold_again(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    pay(billing_env, buy())
    assert_conflict(buy(), "TEAM", "month", "/billing/portal")
    assert len(billing_env.stripe.journal.all("checkout.session")) == 1


@pytest.mark.parametrize(
    ("asked", "price", "plan"),
    [
        ({"plan": "BUSINESS"}, "price_business_month", "BUSINESS"),
        ({"plan": "TEAM", "interval": "year"}, "price_team_year", "TEAM"),
    ],
)
def test_another_plan_is_confirmed_for_the_same_subscription(
    billing_env: BillingEnv,
    payer: Account,
    buy: Ask,
    asked: dict[str, str],
    price: str,
    plan: str,
) -> None:
    subscription = pay(billing_env, buy())
    page = session_of(billing_env, buy(**asked), "billing_portal.session")
    assert page["flow"]["type"] == "subscription_update_confirm"
    assert page["flow"]["subscription_update_confirm"]["subscription"] == subscription
    after = page["flow"]["after_completion"]
    assert (after["type"], after["redirect"]["return_url"][-13:]) == ("redirect", "checkout=done")
    assert prices_of(billing_env, subscription) == ["price_team_month"]
    billing_env.stripe.portal.confirm(page["id"])
    billing_env.catch_up()
    assert prices_of(billing_env, subscription) == [price]
    assert (billing_env.plan(payer), billing_env.billing(payer).subscription_id) == (
        plan,
        subscription,
    )
    assert (
        len(
            billing_env.stripe.journal.all(
                "subscription", billing_env.billing(payer).customer_id or ""
            )
        )
        == 1
    )


def test_a_change_is_offered_before_we_know_of_the_subscription(
    billing_env: BillingEnv, buy: Ask
) -> None:
    """The customer is faster than the webhook: two subscriptions would both be charged."""
    pay(billing_env, buy())
    assert_conflict(buy(), "TEAM")
    assert session_of(billing_env, buy("BUSINESS"), "billing_portal.session")


def test_a_change_is_offered_in_a_trial(billing_env: BillingEnv, payer: Account, buy: Ask) -> None:
    billing_env.stripe.subscriptions.create(
        billing_env.customer(payer), ["price_team_month"], trial_days=14
    )
    assert session_of(billing_env, buy("BUSINESS"), "billing_portal.session")


def test_what_is_not_paid_must_be_paid_first(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    subscription = pay(billing_env, buy())
    billing_env.stripe.customers.set_card(billing_env.billing(payer).customer_id or "", "declines")
    billing_env.stripe.subscriptions.end_period(subscription)
    for status in ("past_due", "unpaid"):
        assert billing_env.stripe.subscriptions.find(subscription)["status"] == status
        for plan in ("TEAM", "BUSINESS"):
            assert_conflict(buy(plan), "payment failed", "/billing/portal")
        if status == "past_due":
            billing_env.stripe.subscriptions.give_up(subscription, "unpaid")
    assert portal(client, payer.key).status_code == 200


def test_what_is_paused_must_be_taken_up_again_first(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    billing_env.stripe.subscriptions.pause(pay(billing_env, buy()))
    assert_conflict(buy("BUSINESS"), "paused", "/billing/portal")


@pytest.mark.parametrize("at_period_end", [True, False])
def test_after_a_cancellation_the_plan_is_sold_again_once_it_has_ended(
    billing_env: BillingEnv, payer: Account, buy: Ask, at_period_end: bool
) -> None:
    subscription = pay(billing_env, buy())
    billing_env.stripe.subscriptions.cancel(subscription, at_period_end=at_period_end)
    if at_period_end:
        assert_conflict(buy(), "TEAM", "/billing/portal")
        billing_env.stripe.subscriptions.end_period(subscription)
    assert pay(billing_env, buy()) != subscription
    billing_env.catch_up()
    assert billing_env.plan(payer) == "TEAM"


def test_a_first_payment_that_failed_does_not_stand_in_the_way(
    billing_env: BillingEnv, payer: Account, buy: Ask
) -> None:
    first = billing_env.stripe.subscriptions.create(
        billing_env.customer(payer), ["price_team_month"], card="declines"
    )
    assert first["status"] == "incomplete"
    pay(billing_env, buy("BUSINESS"))
    billing_env.catch_up()
    assert billing_env.plan(payer) == "BUSINESS"


def test_a_subscription_of_several_prices_is_not_changed_here(
    app: Flask, clock: Clock, payer: Account, buy: Ask
) -> None:
    prices = Prices(ACCOUNT.stripe_prices, [PlanPrice("TEAM", "month", METERED)])
    with open_billing_env(app, clock, prices=prices) as billing_env:
        pay(billing_env, buy())
        assert_conflict(buy("BUSINESS"), "several prices", "/billing/portal")


def test_a_price_that_only_stripe_knows_is_a_matter_for_people(
    app: Flask, clock: Clock, payer: Account, buy: Ask
) -> None:
    """Somebody changed the subscription in Stripe's dashboard to a price of its own."""
    prices = Prices(
        [one for one in ACCOUNT.stripe_prices if one.price_id != "price_business_year"], ()
    )
    with open_billing_env(app, clock, prices=prices) as billing_env:
        subscription = pay(billing_env, buy())
        billing_env.catch_up()
        billing_env.stripe.subscriptions.change_prices(subscription, ["price_business_year"])
        assert_conflict(buy("BUSINESS"), "Write to us")
        assert prices_of(billing_env, subscription) == ["price_business_year"]
        assert billing_env.plan(payer) == "TEAM"


# Pages


def test_a_second_checkout_closes_the_first(billing_env: BillingEnv, buy: Ask) -> None:
    """Two open pages could both be paid."""
    first = session_of(billing_env, buy())
    second = session_of(billing_env, buy("BUSINESS"))
    assert billing_env.stripe.checkout.find(first["id"])["status"] == "expired"
    assert billing_env.stripe.checkout.find(second["id"])["status"] == "open"


def test_the_portal_is_for_customers(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    assert_conflict(portal(client, payer.key), "/billing/checkout")
    assert billing_env.stripe.customers.all() == []
    buy()
    page = session_of(billing_env, portal(client, payer.key), "billing_portal.session")
    assert page["customer"] == billing_env.billing(payer).customer_id
    assert page["return_url"].endswith("/plans?portal=done")
    assert page["flow"] is None


def test_a_repeated_request_leads_to_the_same_page(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    once = {"Idempotency-Key": "buy-1"}
    first, again = buy(headers=once), buy(headers=once)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(billing_env.stripe.journal.all("checkout.session")) == 1
    assert buy("BUSINESS", headers=once).status_code == 422
    pages = [
        portal(client, payer.key, **{"Idempotency-Key": "look-1"}).json["url"] for _ in range(2)
    ]
    assert pages[0] == pages[1]


def test_workspaces_are_apart(
    billing_env: BillingEnv, client: ApiClient, make_account: AccountMaker
) -> None:
    one, other = (
        make_account(name, plan="FREE", requests_per_second=1000) for name in ("one", "other")
    )
    billing_env.stripe.subscriptions.create(billing_env.customer(one), ["price_business_month"])
    assert_conflict(portal(client, other.key))
    answer = client.post("/billing/checkout", headers=bearer(other.key), json={"plan": "BUSINESS"})
    assert session_of(billing_env, answer)["customer"] not in (
        None,
        billing_env.billing(one).customer_id,
    )
    page = session_of(billing_env, portal(client, other.key), "billing_portal.session")
    assert page["customer"] == billing_env.billing(other).customer_id


# One customer


@on_both_databases
def test_parallel_checkouts_make_one_customer(
    app: Flask, billing_env: BillingEnv, payer: Account
) -> None:
    start = Barrier(8)

    def buy(_: int) -> Answer:
        start.wait()
        return client_of(app).post(
            "/billing/checkout", headers=bearer(payer.key), json={"plan": "TEAM"}
        )

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(buy, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    (customer,) = billing_env.stripe.customers.all()
    assert billing_env.billing(payer).customer_id == customer["id"]
    assert {entry["customer"] for entry in billing_env.stripe.journal.all("checkout.session")} == {
        customer["id"]
    }
    assert [entry.action for entry in billing_env.audit(payer)].count("customer.created") == 1


@on_both_databases
def test_a_crash_before_the_customer_is_stored_makes_no_second_one(
    billing_env: BillingEnv, payer: Account, buy: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as dying:
        dying.setattr(audit, "record", die)
        with pytest.raises(SystemExit):
            buy()
    assert billing_env.billing(payer).customer_id is None
    assert buy().status_code == 200
    (customer,) = billing_env.stripe.customers.all()
    assert billing_env.billing(payer).customer_id == customer["id"]


@on_both_databases
def test_a_customer_that_stripe_deleted_is_replaced(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    pay(billing_env, buy())
    gone = billing_env.billing(payer).customer_id or ""
    billing_env.stripe.customers.delete(gone)
    pay(billing_env, buy())
    billing_env.catch_up()
    assert billing_env.billing(payer).customer_id not in (None, gone)
    assert billing_env.plan(payer) == "TEAM"
    assert len(billing_env.stripe.customers.all()) == 1


def test_the_portal_of_a_deleted_customer_is_gone(
    billing_env: BillingEnv, client: ApiClient, payer: Account, buy: Ask
) -> None:
    pay(billing_env, buy())
    billing_env.catch_up()
    assert billing_env.plan(payer) == "TEAM"
    billing_env.stripe.customers.delete(billing_env.billing(payer).customer_id or "")
    assert_conflict(portal(client, payer.key), "/billing/checkout")
    assert billing_env.billing(payer).customer_id is None
    assert billing_env.plan(payer) != "TEAM"


def test_a_customer_that_is_deleted_while_the_page_is_made_is_replaced(
    billing_env: BillingEnv, payer: Account, buy: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = billing_env.provider.payments.checkout
    deleted: list[str] = []

    def checkout(org_id: str, customer_id: str, *rest: Any) -> str:
        if not deleted:
            deleted.append(billing_env.stripe.customers.delete(customer_id)["id"])
        return made(org_id, customer_id, *rest)

    monkeypatch.setattr(billing_env.provider.payments, "checkout", checkout)
    assert session_of(billing_env, buy())["customer"] == billing_env.billing(payer).customer_id
    assert billing_env.billing(payer).customer_id not in (None, *deleted)


def test_a_customer_that_always_disappears_is_answered_with_a_503(
    billing_env: BillingEnv, buy: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checkout(_org_id: str, customer_id: str, *_: Any) -> str:
        raise CustomerGone(customer_id)

    monkeypatch.setattr(billing_env.provider.payments, "checkout", checkout)
    answer = buy()
    assert (answer.status_code, answer.json["code"]) == (503, "dependency_down")
    assert answer.headers["Retry-After"]


def test_no_secret_is_logged(
    billing_env: BillingEnv,
    client: ApiClient,
    payer: Account,
    buy: Ask,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        pay(billing_env, buy())
        billing_env.catch_up()
        buy("BUSINESS")
        portal(client, payer.key)
        billing_env.post("{}", "whsec_forged")
        billing_env.post("[]")
        billing_env.stripe.customers.delete(billing_env.billing(payer).customer_id or "")
        portal(client, payer.key)
    written = caplog.text + "".join(capfd.readouterr())
    assert "webhook.refused" in written
    for secret in (ACCOUNT.stripe_secret_key, *SECRETS, "whsec_forged", payer.key, "Bearer"):
        assert secret not in written


def test_a_purchase_that_nobody_told_is_asked_for_an_hour_later(
    context: None, billing_env: BillingEnv, payer: Account, buy: Ask, clock: Clock
) -> None:
    forget_everybody()
    pay(billing_env, buy())
    clock.advance(hours=1)
    subscriptions.synchronise_due(billing_env.provider)
    assert billing_env.plan(payer) == "TEAM"


def test_where_the_portal_changes_no_plans_the_way_round_is_told(
    billing_env: BillingEnv, payer: Account, buy: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_anything: object) -> str:
        raise ChangeRefused("the feature is disabled")

    pay(billing_env, buy())
    monkeypatch.setattr(billing_env.provider.payments, "change", refuses)
    assert_conflict(buy("BUSINESS"), "Cancel this one first", "/billing/portal")
