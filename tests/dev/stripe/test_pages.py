"""The fake Stripe's Checkout and portal, as a person uses them."""

import re
from typing import Any

import pytest
from flask import Flask

from dev.stripe.catalogue import PRICES
from dev.stripe.formatting import describe_state, effect_of_change, money, rate
from dev.stripe.sessions import CheckoutOrder
from dev.stripe.state import FakeStripe
from dev.stripe.store import Document
from tests.clock import Clock
from tests.dev.stripe.page_driver import PageDriver

SHOP = "https://shop.example"


def an_order(
    state: FakeStripe,
    customer_id: str,
    *price_ids: str,
    success: str = f"{SHOP}/done",
    cancel: str = f"{SHOP}/back",
    trial_days: int = 0,
) -> Document:
    chosen = {"success_url": success, "cancel_url": cancel}
    order = CheckoutOrder(price_ids or ["price_team_month"], trial_days)
    return state.checkout.open(customer_id, order, chosen=chosen)


def a_portal(
    state: FakeStripe, customer_id: str, return_url: str = f"{SHOP}/account", flow: Any = None
) -> str:
    return state.portal.open(customer_id, return_url, flow)["url"]


def status_of(state: FakeStripe, customer_id: str) -> str:
    return state.journal.all("subscription", customer_id)[-1]["status"]


def test_checkout_tells_what_is_bought_and_for_whom(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    text = page_driver.visit(
        an_order(state, customer_id, "price_business_year", "price_images_metered")["url"]
    ).page.text
    assert "Fake Stripe: no real money. It stands in for Stripe in development." in text
    assert "Lightwell Business $990.00 a year" in text
    assert "Lightwell images $0.001 an image" in text
    assert "Due today $990.00" in text
    assert "olga@example.com" in text
    assert page_driver.page.links["Back"] == f"{SHOP}/back"


def test_a_trial_costs_nothing_today(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    text = page_driver.visit(an_order(state, customer_id, trial_days=14)["url"]).page.text
    assert "14 days, free" in text
    assert "Due today $0.00" in text
    page_driver.press("Subscribe")
    text = page_driver.visit(a_portal(state, customer_id)).page.text
    assert "On trial until 4 December 2026, then $29.00 a month." in text


def test_a_card_that_pays_leads_on_with_the_session_s_id(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    session = an_order(state, customer_id, success=f"{SHOP}/done?session={{CHECKOUT_SESSION_ID}}")
    page_driver.visit(session["url"]).press("Subscribe")
    assert page_driver.answer.status_code == 303
    assert page_driver.answer.location == f"{SHOP}/done?session={session['id']}"
    assert status_of(state, customer_id) == "active"

    again = page_driver.visit(session["url"])
    assert "This is paid already" in again.page.text
    assert again.page.links["Go on"] == f"{SHOP}/done?session={session['id']}"
    assert len(state.journal.all("subscription", customer_id)) == 1


def test_a_declined_card_changes_nothing_and_may_be_followed_by_one_that_pays(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    page_driver.visit(an_order(state, customer_id)["url"]).press("Subscribe", card="declines")
    assert page_driver.answer.status_code == 402
    assert "The card was declined. Nothing was bought." in page_driver.page.text
    assert not state.journal.all("subscription", customer_id)
    page_driver.press("Subscribe", card="works")
    assert page_driver.answer.location == f"{SHOP}/done"
    assert status_of(state, customer_id) == "active"


def test_two_tabs_buy_once(
    state: FakeStripe, page_driver: PageDriver, customer_id: str, fake_stripe: Flask
) -> None:
    session = an_order(state, customer_id)
    other = PageDriver(fake_stripe.test_client()).visit(session["url"])
    page_driver.visit(session["url"]).press("Subscribe")
    other.press("Subscribe")
    assert "This is paid already" in other.page.text
    assert len(state.journal.all("subscription", customer_id)) == 1


def test_an_expired_checkout_says_so_and_leads_back(
    state: FakeStripe, page_driver: PageDriver, customer_id: str, clock: Clock
) -> None:
    session = an_order(state, customer_id)
    page_driver.visit(session["url"])
    clock.advance(days=2)
    page_driver.press("Subscribe")
    assert "This checkout has expired" in page_driver.page.text
    assert page_driver.page.links["Go on"] == f"{SHOP}/back"
    assert not state.journal.all("subscription", customer_id)


@pytest.mark.parametrize(
    "path",
    [
        "/checkout/cs_test_0",
        "/portal/bps_0",
        "/portal/bps_0/sub_0/cancel",
        "/assets/../state.py",
        "/nothing",
    ],
)
def test_unknown_addresses_are_pages_too(page_driver: PageDriver, path: str) -> None:
    page_driver.visit(path)
    assert page_driver.answer.status_code == 404
    assert "There is nothing here" in page_driver.page.text
    assert "Customers" in page_driver.follow("To the start page").page.text


def test_the_plan_is_changed_after_a_look_at_what_that_means(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month", "price_images_metered"])
    page_driver.visit(a_portal(state, customer_id))
    assert (
        "Active. The next payment is on 20 December 2026: $29.00 a month and $0.001 an image."
        in page_driver.page.text
    )
    page_driver.press("Change plan", price="price_business_month")
    assert "From Lightwell Team, $29.00 a month" in page_driver.page.text
    assert "To Lightwell Business, $99.00 a month" in page_driver.page.text
    assert (
        "The difference for the time until 20 December 2026 is charged today."
        in page_driver.page.text
    )
    assert state.journal.all("invoice", customer_id)[-1]["billing_reason"] == "subscription_create"

    page_driver.press("Confirm")
    assert "The plan is changed." in page_driver.page.text
    items = state.journal.all("subscription", customer_id)[0]["items"]["data"]
    assert {item["price"]["id"] for item in items} == {
        "price_business_month",
        "price_images_metered",
    }
    assert "That is the present plan." in page_driver.press("Change plan").page.text


def test_a_flow_shows_one_change_and_returns_after_it(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    subscription = state.subscriptions.create(customer_id, ["price_team_month"])
    items = [
        {"id": subscription["items"]["data"][0]["id"], "price": "price_team_year", "quantity": 1}
    ]
    update = {"subscription": subscription["id"], "items": items}
    flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
    address = a_portal(state, customer_id, flow=flow)

    page_driver.visit(address)
    assert "To Lightwell Team, $290.00 a year" in page_driver.page.text
    assert "a new period begins today" in page_driver.page.text
    assert page_driver.page.links["Back"] == f"{SHOP}/account"
    assert not page_driver.can("Change plan")
    page_driver.press("Confirm")
    assert (page_driver.answer.status_code, page_driver.answer.location) == (303, f"{SHOP}/account")
    assert "The next payment is on 20 November 2027" in page_driver.visit(address).page.text


def test_a_subscription_is_cancelled_after_a_question_and_can_be_kept(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id)).follow("Cancel subscription")
    assert (
        "Lightwell Team lasts until 20 December 2026 and is not renewed." in page_driver.page.text
    )
    assert not state.journal.all("subscription", customer_id)[0]["cancel_at_period_end"]

    page_driver.press("Cancel subscription")
    assert "The subscription is cancelled. " in page_driver.page.text
    assert "Cancelled. It lasts until 20 December 2026." in page_driver.page.text
    page_driver.press("Keep subscription")
    assert "The subscription goes on." in page_driver.page.text
    assert not state.journal.all("subscription", customer_id)[0]["cancel_at_period_end"]

    page_driver.follow("Cancel subscription").press("Cancel subscription").press(
        "End the current period"
    )
    assert "Ended on 20 November 2026." in page_driver.page.text
    assert "No subscription is running." in page_driver.page.text


def test_a_payment_fails_and_a_new_card_pays_it(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id)).press("Fail the next payment").press(
        "End the current period"
    )
    assert "The card was declined." in page_driver.page.text
    assert "The last payment failed." in page_driver.page.text
    assert status_of(state, customer_id) == "past_due"
    assert "The card was declined." in page_driver.press("Pay").page.text
    assert "The card was declined." in page_driver.press("Retry the payment").page.text

    page_driver.press("Update card", card="works")
    assert "The card is updated." in page_driver.page.text
    assert "Active." in page_driver.page.text
    assert not page_driver.can("Pay")
    assert "20 November 2026 paid $29.00" in page_driver.page.text


@pytest.mark.parametrize(
    ("button", "status", "words"),
    [
        ("Give up and cancel", "canceled", "No subscription is running."),
        ("Give up and mark unpaid", "unpaid", "Nobody tries the card any more"),
    ],
)
def test_stripe_gives_up(
    state: FakeStripe,
    page_driver: PageDriver,
    customer_id: str,
    button: str,
    status: str,
    words: str,
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id)).press("Fail the next payment").press(
        "End the current period"
    )
    assert words in page_driver.press(button).page.text
    assert status_of(state, customer_id) == status


def test_a_subscription_pauses_and_resumes(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id)).press("Pause")
    assert "Paused. Nothing is charged." in page_driver.page.text
    page_driver.press("Fail the next payment").press("Resume")
    assert "The card was declined." in page_driver.page.text
    page_driver.press("Update card", card="works").press("Resume")
    assert "The subscription is resumed." in page_driver.page.text
    assert status_of(state, customer_id) == "active"


def test_a_first_payment_that_never_comes(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"], card="declines")
    page_driver.visit(a_portal(state, customer_id))
    assert "The first payment was declined." in page_driver.page.text
    assert "The first payment never came." in page_driver.press("Let it expire").page.text


def test_a_charge_is_disputed_once(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id)).press("Dispute the last charge")
    assert "The last charge is disputed." in page_driver.page.text
    assert state.journal.events()[-1]["type"] == "charge.dispute.created"
    assert not page_driver.can("Dispute the last charge")


def test_deleting_the_customer_is_asked_twice(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    address = a_portal(state, customer_id)
    page_driver.visit(address).follow("Delete the customer")
    assert status_of(state, customer_id) == "active"
    page_driver.press("Delete customer")
    assert "The customer is deleted." in page_driver.page.text
    assert status_of(state, customer_id) == "canceled"
    assert page_driver.visit(address).answer.status_code == 404


def test_the_start_page_opens_anybody_s_portal(
    state: FakeStripe, page_driver: PageDriver, customer_id: str, fake_stripe: Flask
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit("/")
    assert "No events are still to be delivered." in page_driver.page.text
    assert "olga@example.com Lightwell Team. Active." in page_driver.page.text
    page_driver.press("Open portal")
    assert "Billing" in page_driver.page.text
    assert "Customers" in page_driver.follow("Back to the shop").page.text


def test_nobody_reaches_another_customer_s_subscription(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    theirs = state.subscriptions.create(
        state.customers.create("else@example.com")["id"], ["price_team_month"]
    )
    own = a_portal(state, customer_id)
    for path in ("cancel", "change", "pause", "end-period"):
        assert page_driver.client.post(f"{own}/{theirs['id']}/{path}").status_code == 404
    assert state.subscriptions.find(theirs["id"]) == theirs


def test_a_step_that_is_too_late_says_why(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    subscription = state.subscriptions.create(customer_id, ["price_team_month"])
    page_driver.visit(a_portal(state, customer_id))
    state.subscriptions.cancel(subscription["id"])
    page_driver.press("Pause")
    assert page_driver.answer.status_code == 400
    assert "This subscription is canceled" in page_driver.page.text


def test_there_are_no_other_steps(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    subscription = state.subscriptions.create(customer_id, ["price_team_month"])
    assert (
        page_driver.client.post(
            f"{a_portal(state, customer_id)}/{subscription['id']}/refund"
        ).status_code
        == 404
    )


@pytest.mark.parametrize("fields", [{}, {"card": "stolen"}])
def test_only_the_test_cards_are_taken(
    state: FakeStripe, page_driver: PageDriver, customer_id: str, fields: dict[str, str]
) -> None:
    answer = page_driver.client.post(an_order(state, customer_id)["url"], data=fields)
    assert answer.status_code == 400
    assert "Choose one of the two test cards." in answer.text


SCRIPT = "javascript:alert(1)"


def test_pages_lead_to_web_addresses_only(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    session = an_order(state, customer_id, success=SCRIPT, cancel=SCRIPT)
    assert SCRIPT not in page_driver.visit(session["url"]).answer.text
    page_driver.press("Subscribe")
    assert page_driver.answer.request.host == "stripe.test"
    assert "This is paid already" in page_driver.page.text
    assert SCRIPT not in page_driver.answer.text
    assert (
        SCRIPT not in page_driver.visit(a_portal(state, customer_id, return_url=SCRIPT)).answer.text
    )


def test_what_customers_are_called_is_text(state: FakeStripe, page_driver: PageDriver) -> None:
    hostile = "<script>alert(1)</script>"
    customer_id = state.customers.create(hostile)["id"]
    for address in (
        "/",
        an_order(state, customer_id)["url"],
        a_portal(state, customer_id),
        f"/?done={hostile}",
    ):
        answer = page_driver.visit(address).answer
        assert answer.status_code == 200
        assert "<script" not in answer.text


def test_pages_run_nothing_and_load_nothing_from_elsewhere(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    state.subscriptions.create(customer_id, ["price_team_month"])
    for address in (
        "/",
        a_portal(state, customer_id),
        an_order(state, customer_id)["url"],
        "/nothing",
    ):
        answer = page_driver.visit(address).answer
        assert answer.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'"
        )
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        loaded = re.findall(r'<(?:link|img|script)[^>]+(?:href|src)="([^"]+)', answer.text)
        assert len(loaded) == 2
        assert all(page_driver.client.get(link).status_code == 200 for link in loaded)


def test_words() -> None:
    assert money(-1450) == "−$14.50"
    assert money(123_456_78) == "$123,456.78"
    assert rate(PRICES["price_images_metered"]) == "$0.001 an image"


def test_what_a_change_means(state: FakeStripe, customer_id: str) -> None:
    team = state.subscriptions.create(customer_id, ["price_business_month"], trial_days=7)
    assert "trial goes on until 27 November 2026" in effect_of_change(
        team, [PRICES["price_team_month"]]
    )
    paid = state.subscriptions.create(customer_id, ["price_business_month"])
    assert "taken off the next invoices" in effect_of_change(paid, [PRICES["price_team_month"]])
    state.customers.set_card(customer_id, "declines")
    state.subscriptions.cancel(state.subscriptions.end_period(paid["id"])["id"], at_period_end=True)
    assert describe_state(state.subscriptions.find(paid["id"])).endswith(
        "It ends on 20 December 2026."
    )


def test_a_change_ends_where_its_flow_says(
    state: FakeStripe, page_driver: PageDriver, customer_id: str
) -> None:
    subscription = state.subscriptions.create(customer_id, ["price_team_month"])
    flow = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {
            "subscription": subscription["id"],
            "items": [
                {"id": subscription["items"]["data"][0]["id"], "price": "price_business_month"}
            ],
        },
        "after_completion": {"type": "redirect", "redirect": {"return_url": f"{SHOP}/done"}},
    }
    page_driver.visit(a_portal(state, customer_id, flow=flow))
    assert page_driver.page.links["Back"] == f"{SHOP}/account"
    page_driver.press("Confirm")
    assert page_driver.answer.location == f"{SHOP}/done"
