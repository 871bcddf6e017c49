"""The billing page and the way to the payment provider and back."""

from typing import Any

import pytest
from sqlalchemy import select

from app.extensions import transaction
from app.models import Mail, Role
from tests.architecture.test_pages import SAME_SITE
from tests.billing import BillingEnv
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.databases import on_both_databases
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


def mails_to(email: str) -> list[Mail]:
    with transaction() as session:
        found = select(Mail).where(Mail.recipient == email, ~Mail.subject.startswith("Confirm"))
        return list(session.scalars(found.order_by(Mail.id)))


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

    page = text_of(owner.get(billing_of(payer)))
    assert "Team Your plan" in page
    assert "The next is due on 20 Dec 2026 : $29 a month." in page
    assert "$29 Paid View PDF" in page

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
    page = text_of(owner.get(portal["return_url"]))
    assert "Welcome back." in page
    assert "the Business plan lasts until 20 Dec 2026, then you are on Free" in page
    assert billing_env.plan(payer) == "BUSINESS"

    billing_env.stripe.subscriptions.end_period(subscription)
    billing_env.catch_up()
    assert billing_env.plan(payer) == "FREE"
    assert [mail.subject.partition(" ")[2] for mail in mails_to(payer.email)] == [
        "is on the Team plan",
        "is on the Business plan",
        f"Business plan of {billing_env.organization(payer).name} has ended",
    ]
