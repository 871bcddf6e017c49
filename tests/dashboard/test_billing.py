"""The billing page and the way to the payment provider and back."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.adapters.payments.interface import Invoice
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import Organization, Role
from app.services.billing.prices import Prices
from app.settings_types import PlanPrice
from tests.architecture.test_pages import SAME_SITE
from tests.billing import BillingEnv, open_billing_env
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases, statements
from tests.dev.stripe.page_driver import Page

TEAM = {"plan": "TEAM", "interval": "month"}


@pytest.fixture
def payer(make_account: AccountMaker) -> Account:
    return make_account("payer", plan="FREE")


@pytest.fixture
def owner(payer: Account, sign_in: SignIn) -> ApiClient:
    return sign_in(payer, Role.OWNER)


def billing_of(account: Account) -> str:
    return f"{account.home}/billing"


def text_of(answer: Answer) -> str:
    return Page(answer.text).text


def ask(client: ApiClient, account: Account, path: str = "checkout", **form: str) -> Answer:
    return client.post(f"{billing_of(account)}/{path}", headers=SAME_SITE, data=form)


def session_of(billing_env: BillingEnv, answer: Answer, kind: str) -> dict[str, Any]:
    """The provider's session that a page leads to."""
    assert answer.status_code == 200, answer.text
    url = Page(answer.text).links["Continue to payment"]
    assert f'content="0;url={url}"' in answer.text
    return next(one for one in billing_env.stripe.journal.all(kind) if one["url"] == url)


def buy(billing_env: BillingEnv, client: ApiClient, account: Account, **form: str) -> str:
    """Buy and pay a plan without any news of it. Returns the path that the provider leads to."""
    session = session_of(billing_env, ask(client, account, **(form or TEAM)), "checkout.session")
    billing_env.stripe.checkout.complete(session["id"])
    return str(session["success_url"]).removeprefix("http://localhost")


def subscription_of(billing_env: BillingEnv, account: Account) -> str:
    return billing_env.billing(account).subscription_id or ""


# The journey


@on_both_databases
@pytest.mark.usefixtures("context")
def test_upgrade_wait_change_and_cancel(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, clock: Clock
) -> None:
    page = owner.get(billing_of(payer))
    assert "Free Your plan" in text_of(page)
    assert "Nothing to pay." in text_of(page)
    assert "Buy Team" in text_of(page)

    back = buy(billing_env, owner, payer)
    assert "Your payment is on its way" in owner.get(back).text
    billing_env.catch_up()
    assert "You are on the Team plan" in owner.get(back).text
    assert billing_env.plan(payer) == "TEAM"

    text = text_of(owner.get(billing_of(payer)))
    assert "Team Your plan" in text
    assert "The next is due on 20 Dec 2026 : $29 a month." in text
    assert "$29 Paid" in text

    change = ask(owner, payer, plan="BUSINESS", interval="month")
    billing_env.stripe.portal.confirm(
        session_of(billing_env, change, "billing_portal.session")["id"]
    )
    billing_env.catch_up()
    assert "Business Your plan" in text_of(owner.get(billing_of(payer)))

    portal = session_of(billing_env, ask(owner, payer, "portal"), "billing_portal.session")
    assert portal["return_url"] == f"http://localhost{billing_of(payer)}?portal=done"
    subscription = subscription_of(billing_env, payer)
    billing_env.stripe.subscriptions.cancel(subscription, at_period_end=True)
    billing_env.catch_up()
    text = text_of(owner.get(portal["return_url"]))
    assert "Welcome back." in text
    assert "the Business plan lasts until 20 Dec 2026, then you are on Free" in text
    assert billing_env.plan(payer) == "BUSINESS"

    billing_env.stripe.subscriptions.end_period(subscription)
    billing_env.catch_up()
    assert billing_env.plan(payer) == "FREE"
    assert [mail.subject.partition(" ")[2] for mail in billing_env.letters(payer)] == [
        "is on the Team plan",
        "is on the Business plan",
        f"Business plan of {billing_env.organization(payer).name} has ended",
    ]


# What the page shows


def test_the_page_takes_few_statements(
    app: Flask, billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    with statements(app) as told:
        assert owner.get(billing_of(payer)).status_code == 200
    assert len(told) <= 10, told


def test_members_see_plan_and_limits_but_no_invoices(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, sign_in: SignIn
) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    answer = sign_in(payer, Role.ADMIN).get(billing_of(payer))
    assert "Team Your plan" in text_of(answer)
    assert "200,000 images a month" in text_of(answer)
    assert "Only owners of the organization can change the plan" in text_of(answer)
    assert "/billing/" not in answer.text
    assert not [form for form in Page(answer.text).forms if "billing" in form.action]
    assert "/invoices/" in owner.get(billing_of(payer)).text


def test_plans_by_the_year_cost_what_the_provider_says(
    billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    text = text_of(owner.get(f"{billing_of(payer)}?interval=year"))
    assert "$290 a year Save $58" in text
    back = buy(billing_env, owner, payer, plan="TEAM", interval="year")
    billing_env.catch_up()
    assert "You are on the Team plan" in owner.get(back).text
    text = text_of(owner.get(billing_of(payer)))
    assert "20 Nov 2027 : $290 a year." in text
    assert "Pay by the month" in text_of(owner.get(f"{billing_of(payer)}?interval=month"))


def test_what_changes_is_marked(billing_env: BillingEnv, payer: Account, owner: ApiClient) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    text = text_of(owner.get(billing_of(payer)))
    assert "100 images a month ↓ less" in text
    assert "20,000 images a month 3 requests a second" in text
    assert "200,000 images a month ↑ more" in text
    assert "Unlimited images a month ↑ more" in text


def test_an_organization_s_name_is_text(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, app: Flask
) -> None:
    hostile = '"><script>alert(1)</script>'
    with app.app_context(), transaction() as session:
        session.change(
            update(Organization).where(Organization.id == payer.org_id).values(name=hostile)
        )
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    paths = (billing_of(payer), f"{billing_of(payer)}/return?plan={hostile}&interval={hostile}")
    for path in paths:
        assert "<script>alert" not in owner.get(path).text
    (mail,) = billing_env.letters(payer)
    assert "<script>alert" not in str(mail.html)


# The provider fails


def test_a_provider_that_is_down_leaves_out_invoices_and_sells_nothing(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    asked: list[str] = []

    def fails(customer_id: str, *_anything: object) -> list[Invoice]:
        asked.append(customer_id)
        raise DependencyDown("The payment provider does not answer just now.")

    monkeypatch.setattr(billing_env.provider.payments, "invoices", fails)
    for _ in range(2):
        answer = owner.get(billing_of(payer))
        assert answer.status_code == 200
        assert "invoices can't be shown" in text_of(answer)
    assert len(asked) == 1
    monkeypatch.setattr(billing_env.provider.payments, "subscriptions_of", fails)
    answer = ask(owner, payer, plan="BUSINESS", interval="month")
    assert answer.status_code == 503
    assert "The payment provider does not answer just now." in text_of(answer)


def test_invoices_are_asked_for_once_a_minute_and_after_a_change(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked = billing_env.provider.payments.invoices, []

    def count(customer_id: str, limit: int = 24) -> Any:
        asked.append(customer_id)
        return read(customer_id, limit)

    monkeypatch.setattr(billing_env.provider.payments, "invoices", count)
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    for _ in range(3):
        assert "$29 Paid" in text_of(owner.get(billing_of(payer)))
    assert len(asked) == 1
    subscription = subscription_of(billing_env, payer)
    billing_env.stripe.subscriptions.change_prices(subscription, ["price_business_month"])
    billing_env.catch_up()
    assert "$70 Paid" in text_of(owner.get(billing_of(payer)))
    assert len(asked) == 2


def test_without_a_provider_the_page_says_so(payer: Account, owner: ApiClient) -> None:
    text = text_of(owner.get(billing_of(payer)))
    assert "Payments are not set up on this server" in text
    assert "Buy" not in text
    answer = ask(owner, payer, **TEAM)
    assert answer.status_code == 501
    assert "Payments are not configured on this server." in text_of(answer)


def test_a_price_that_cannot_be_read_is_told_by_the_provider_s_page(
    app: Flask, clock: Clock, payer: Account, owner: ApiClient
) -> None:
    prices = Prices([PlanPrice("TEAM", "year", "price_that_stripe_lacks")], ())
    with open_billing_env(app, clock, prices=prices):
        answer = owner.get(f"{billing_of(payer)}?interval=year")
    assert "Team Priced on the payment page" in text_of(answer)


# Refusals


def test_refusals_are_said_in_the_page_s_words(
    billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    wrong: dict[str, dict[str, str]] = {
        "Choose one of the plans.": {"plan": "", "interval": "month"},
        "There is no plan GOLD for sale.": {"plan": "GOLD", "interval": "month"},
        "Choose whether you pay by the month or by the year.": {"plan": "TEAM", "interval": "day"},
        "FREE costs nothing: cancel the subscription": {"plan": "FREE", "interval": "month"},
        "ENTERPRISE is sold by contract": {"plan": "ENTERPRISE", "interval": "month"},
    }
    for sentence, form in wrong.items():
        answer = ask(owner, payer, **form)
        assert answer.status_code == 400
        assert sentence in text_of(answer)
        assert "POST /" not in answer.text
    for plan in ("T" * 33, "TE\0AM", "TEAM\n"):
        assert ask(owner, payer, plan=plan, interval="month").status_code == 400
    answer = ask(owner, payer, "portal")
    assert answer.status_code == 409
    assert "There is nothing to look after yet." in text_of(answer)
    assert "POST /" not in answer.text
    assert billing_env.stripe.customers.all() == []


def test_a_conflict_names_the_way_out(
    billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    answer = ask(owner, payer, **TEAM)
    assert answer.status_code == 409
    assert "paid by the month already. The portal changes or cancels it." in text_of(answer)
    fall_behind(billing_env, payer)
    answer = ask(owner, payer, plan="BUSINESS", interval="month")
    assert answer.status_code == 409
    assert "Pay it before changing the plan." in text_of(answer)
    assert "POST /" not in answer.text


def test_buying_asks_for_the_password_again(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, clock: Clock
) -> None:
    clock.advance(minutes=10)
    for path in ("checkout", "portal"):
        answer = ask(owner, payer, path, **TEAM)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login/again?")
    assert billing_env.stripe.customers.all() == []


def test_an_organization_that_is_being_deleted_buys_nothing(
    billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    name = payer.email.partition("@")[0]
    owner.post(f"{payer.home}/settings/delete", headers=SAME_SITE, data={"name": name})
    answer = ask(owner, payer, **TEAM)
    assert answer.status_code == 409
    assert "This organization is being deleted." in text_of(answer)
    owner.post(f"{payer.home}/settings/delete/undo", headers=SAME_SITE)
    assert ask(owner, payer, **TEAM).status_code == 200


# The return


def test_the_return_page_waits_and_then_lets_go(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, clock: Clock
) -> None:
    back = buy(billing_env, owner, payer)
    page = owner.get(back).text
    assert 'hx-trigger="every 1s"' in page
    again = (
        f"{back.partition('&amp;')[0].partition('&checkout')[0]}&since={int(clock().timestamp())}"
    )
    escaped = again.replace("&", "&amp;")
    assert f'<noscript><meta http-equiv="refresh" content="3;url={escaped}"></noscript>' in page
    clock.advance(seconds=11)
    fragment = owner.get(again, headers={"HX-Request": "true"})
    assert (fragment.status_code, "<html" in fragment.text) == (200, False)
    assert 'hx-trigger="every 3s"' in fragment.text
    clock.advance(seconds=50)
    late = owner.get(again, headers={"HX-Request": "true"})
    assert late.status_code == 286
    assert "You may leave this page." in late.text
    assert "http-equiv" not in owner.get(again).text
    billing_env.catch_up()
    done = owner.get(again, headers={"HX-Request": "true"})
    assert (done.status_code, done.headers["HX-Refresh"]) == (286, "true")
    assert "You are on the Team plan" in owner.get(again).text


def test_a_change_that_was_not_confirmed_changes_nothing(
    billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    change = ask(owner, payer, plan="BUSINESS", interval="month")
    session = session_of(billing_env, change, "billing_portal.session")
    assert "Nothing was bought" in owner.get(session["return_url"]).text
    end = session["flow"]["after_completion"]["redirect"]["return_url"]
    assert "Your payment is on its way" in owner.get(end).text


@pytest.mark.parametrize("since", ["", "x", "9" * 400, "-1", "1e9"])
def test_a_return_page_takes_any_address(payer: Account, owner: ApiClient, since: str) -> None:
    answer = owner.get(f"{billing_of(payer)}/return?plan=%00{'x' * 500}&since={since}")
    assert answer.status_code == 200
    assert "x" * 40 not in answer.text


# Trouble


def fall_behind(billing_env: BillingEnv, account: Account) -> None:
    """The next payment fails."""
    customer = billing_env.billing(account).customer_id or ""
    billing_env.stripe.customers.set_card(customer, "declines")
    billing_env.stripe.subscriptions.end_period(subscription_of(billing_env, account))
    billing_env.catch_up()


def test_trouble_stands_on_every_page_with_the_way_out(
    billing_env: BillingEnv, payer: Account, owner: ApiClient, sign_in: SignIn, clock: Clock
) -> None:
    team, billing = f"{payer.home}/team", billing_of(payer)
    buy(billing_env, owner, payer)
    billing_env.catch_up()
    assert "payment" not in text_of(owner.get(team)).lower()
    fall_behind(billing_env, payer)
    for path in (team, billing):
        text = text_of(owner.get(path))
        assert "Pay by 27 Nov 2026, or the Team plan stops then." in text
        assert "Pay or change the card" in text
    assert "Settle the payment first" in text_of(owner.get(billing))
    member = text_of(sign_in(payer).get(team))
    assert "An owner of the organization can settle it." in member
    assert "Pay or change the card" not in member
    clock.advance(days=7)
    owner = sign_in(payer, Role.OWNER)
    assert "your paid plan has stopped" in text_of(owner.get(team))


def test_a_disputed_payment_is_said_and_other_flags_are_not(
    app: Flask, billing_env: BillingEnv, payer: Account, owner: ApiClient
) -> None:
    buy(billing_env, owner, payer)
    customer = billing_env.billing(payer).customer_id
    (charge,) = billing_env.stripe.journal.all("charge", customer)
    billing_env.stripe.invoices.dispute(charge["id"])
    billing_env.catch_up()
    text = text_of(owner.get(billing_of(payer)))
    assert "A payment of yours is disputed at the bank." in text
    with app.app_context(), transaction() as session:
        session.change(
            update(Organization)
            .where(Organization.id == payer.org_id)
            .values(flag="Looks odd: ask them.")
        )
    text = text_of(owner.get(billing_of(payer)))
    assert "disputed" not in text
    assert "odd" not in text
