"""The test cashier's Checkout and portal, as a person uses them."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.cashier.books import Books
from app.cashier.catalogue import PRICES
from app.cashier.factory import create_cashier
from app.cashier.sessions import Order
from app.cashier.words import effect_of_change, money, rate, state
from tests.cashier.visitor import Visitor
from tests.clock import Clock

SHOP = "https://shop.example"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def cashier(clock: Clock) -> Flask:
    clock.set(NOON)
    return create_cashier("sk_test_x", "whsec_x", None, None, clock)


@pytest.fixture
def books(cashier: Flask) -> Books:
    return cashier.extensions["books"]


@pytest.fixture
def visitor(cashier: Flask) -> Visitor:
    return Visitor(cashier.test_client())


@pytest.fixture
def customer_id(books: Books) -> str:
    return books.create_customer("olga@example.com")["id"]


def an_order(
    books: Books,
    customer_id: str,
    *price_ids: str,
    success: str = f"{SHOP}/done",
    cancel: str = f"{SHOP}/back",
    trial_days: int = 0,
) -> dict[str, Any]:
    chosen = {"success_url": success, "cancel_url": cancel}
    order = Order(price_ids or ["price_team_month"], trial_days)
    return books.open_checkout(customer_id, order, chosen=chosen)


def a_portal(
    books: Books,
    customer_id: str,
    return_url: str = f"{SHOP}/account",
    flow: dict[str, Any] | None = None,
) -> str:
    return books.portal(customer_id, return_url, flow)["url"]


def status_of(books: Books, customer_id: str) -> str:
    return books.subscriptions_of(customer_id)[-1]["status"]


def test_checkout_tells_what_is_bought_and_for_whom(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    text = visitor.visit(
        an_order(books, customer_id, "price_business_year", "price_images_metered")["url"]
    ).page.text
    assert "Test cashier: no real money. It stands in for Stripe in development." in text
    assert "Lightwell Business $990.00 a year" in text
    assert "Lightwell images $0.001 an image" in text
    assert "Due today $990.00" in text
    assert "olga@example.com" in text
    assert visitor.page.links["Back"] == f"{SHOP}/back"


def test_a_trial_costs_nothing_today(books: Books, visitor: Visitor, customer_id: str) -> None:
    text = visitor.visit(an_order(books, customer_id, trial_days=14)["url"]).page.text
    assert "14 days, free" in text
    assert "Due today $0.00" in text
    visitor.press("Subscribe")
    text = visitor.visit(a_portal(books, customer_id)).page.text
    assert "On trial until 4 December 2026, then $29.00 a month." in text


def test_a_card_that_pays_leads_on_with_the_session_s_id(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    session = an_order(books, customer_id, success=f"{SHOP}/done?session={{CHECKOUT_SESSION_ID}}")
    visitor.visit(session["url"]).press("Subscribe")
    assert visitor.answer.status_code == 303
    assert visitor.answer.location == f"{SHOP}/done?session={session['id']}"
    assert status_of(books, customer_id) == "active"

    again = visitor.visit(session["url"])
    assert "This is paid already" in again.page.text
    assert again.page.links["Go on"] == f"{SHOP}/done?session={session['id']}"
    assert len(books.subscriptions_of(customer_id)) == 1


def test_a_declined_card_changes_nothing_and_may_be_followed_by_one_that_pays(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    visitor.visit(an_order(books, customer_id)["url"]).press("Subscribe", card="declines")
    assert visitor.answer.status_code == 402
    assert "The card was declined. Nothing was bought." in visitor.page.text
    assert not books.subscriptions_of(customer_id)
    visitor.press("Subscribe", card="works")
    assert visitor.answer.location == f"{SHOP}/done"
    assert status_of(books, customer_id) == "active"


def test_two_tabs_buy_once(
    books: Books, visitor: Visitor, customer_id: str, cashier: Flask
) -> None:
    session = an_order(books, customer_id)
    other = Visitor(cashier.test_client()).visit(session["url"])
    visitor.visit(session["url"]).press("Subscribe")
    other.press("Subscribe")
    assert "This is paid already" in other.page.text
    assert len(books.subscriptions_of(customer_id)) == 1


def test_an_expired_checkout_says_so_and_leads_back(
    books: Books, visitor: Visitor, customer_id: str, clock: Clock
) -> None:
    session = an_order(books, customer_id)
    visitor.visit(session["url"])
    clock.advance(days=2)
    visitor.press("Subscribe")
    assert "This checkout has expired" in visitor.page.text
    assert visitor.page.links["Go on"] == f"{SHOP}/back"
    assert not books.subscriptions_of(customer_id)


@pytest.mark.parametrize(
    "path",
    [
        "/checkout/cs_test_0",
        "/portal/bps_0",
        "/portal/bps_0/sub_0/cancel",
        "/assets/../books.py",
        "/nothing",
    ],
)
def test_unknown_addresses_are_pages_too(visitor: Visitor, path: str) -> None:
    visitor.visit(path)
    assert visitor.answer.status_code == 404
    assert "There is nothing here" in visitor.page.text
    assert "Customers" in visitor.follow("To the cashier's start page").page.text


def test_the_plan_is_changed_after_a_look_at_what_that_means(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month", "price_images_metered"])
    visitor.visit(a_portal(books, customer_id))
    assert (
        "Active. The next payment is on 20 December 2026: $29.00 a month and $0.001 an image."
        in visitor.page.text
    )
    visitor.press("Change plan", price="price_business_month")
    assert "From Lightwell Team, $29.00 a month" in visitor.page.text
    assert "To Lightwell Business, $99.00 a month" in visitor.page.text
    assert (
        "The difference for the time until 20 December 2026 is charged today." in visitor.page.text
    )
    assert books.invoices_of(customer_id)[-1]["billing_reason"] == "subscription_create"

    visitor.press("Confirm")
    assert "The plan is changed." in visitor.page.text
    items = books.subscriptions_of(customer_id)[0]["items"]["data"]
    assert {item["price"]["id"] for item in items} == {
        "price_business_month",
        "price_images_metered",
    }
    assert "That is the present plan." in visitor.press("Change plan").page.text


def test_a_flow_shows_one_change_and_returns_after_it(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    subscription = books.subscribe(customer_id, ["price_team_month"])
    items = [
        {"id": subscription["items"]["data"][0]["id"], "price": "price_team_year", "quantity": 1}
    ]
    update = {"subscription": subscription["id"], "items": items}
    flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
    address = a_portal(books, customer_id, flow=flow)

    visitor.visit(address)
    assert "To Lightwell Team, $290.00 a year" in visitor.page.text
    assert "a new period begins today" in visitor.page.text
    assert visitor.page.links["Back"] == f"{SHOP}/account"
    assert not visitor.can("Change plan")
    visitor.press("Confirm")
    assert (visitor.answer.status_code, visitor.answer.location) == (303, f"{SHOP}/account")
    assert "The next payment is on 20 November 2027" in visitor.visit(address).page.text


def test_a_subscription_is_cancelled_after_a_question_and_can_be_kept(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id)).follow("Cancel subscription")
    assert "Lightwell Team lasts until 20 December 2026 and is not renewed." in visitor.page.text
    assert not books.subscriptions_of(customer_id)[0]["cancel_at_period_end"]

    visitor.press("Cancel subscription")
    assert "The subscription is cancelled. " in visitor.page.text
    assert "Cancelled. It lasts until 20 December 2026." in visitor.page.text
    visitor.press("Keep subscription")
    assert "The subscription goes on." in visitor.page.text
    assert not books.subscriptions_of(customer_id)[0]["cancel_at_period_end"]

    visitor.follow("Cancel subscription").press("Cancel subscription").press(
        "End the current period"
    )
    assert "Ended on 20 November 2026." in visitor.page.text
    assert "No subscription is running." in visitor.page.text


def test_a_payment_fails_and_a_new_card_pays_it(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id)).press("Fail the next payment").press(
        "End the current period"
    )
    assert "The card was declined." in visitor.page.text
    assert "The last payment failed." in visitor.page.text
    assert status_of(books, customer_id) == "past_due"
    assert "The card was declined." in visitor.press("Pay").page.text
    assert "The card was declined." in visitor.press("Retry the payment").page.text

    visitor.press("Update card", card="works")
    assert "The card is updated." in visitor.page.text
    assert "Active." in visitor.page.text
    assert not visitor.can("Pay")
    assert "20 November 2026 paid $29.00" in visitor.page.text


@pytest.mark.parametrize(
    ("button", "status", "words"),
    [
        ("Give up and cancel", "canceled", "No subscription is running."),
        ("Give up and mark unpaid", "unpaid", "Nobody tries the card any more"),
    ],
)
def test_stripe_gives_up(
    books: Books, visitor: Visitor, customer_id: str, button: str, status: str, words: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id)).press("Fail the next payment").press(
        "End the current period"
    )
    assert words in visitor.press(button).page.text
    assert status_of(books, customer_id) == status


def test_a_subscription_pauses_and_resumes(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id)).press("Pause")
    assert "Paused. Nothing is charged." in visitor.page.text
    visitor.press("Fail the next payment").press("Resume")
    assert "The card was declined." in visitor.page.text
    visitor.press("Update card", card="works").press("Resume")
    assert "The subscription is resumed." in visitor.page.text
    assert status_of(books, customer_id) == "active"


def test_a_first_payment_that_never_comes(books: Books, visitor: Visitor, customer_id: str) -> None:
    books.subscribe(customer_id, ["price_team_month"], card="declines")
    visitor.visit(a_portal(books, customer_id))
    assert "The first payment was declined." in visitor.page.text
    assert "The first payment never came." in visitor.press("Let it expire").page.text


def test_a_charge_is_disputed_once(books: Books, visitor: Visitor, customer_id: str) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id)).press("Dispute the last charge")
    assert "The last charge is disputed." in visitor.page.text
    assert books.events()[-1]["type"] == "charge.dispute.created"
    assert not visitor.can("Dispute the last charge")


def test_deleting_the_customer_is_asked_twice(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    address = a_portal(books, customer_id)
    visitor.visit(address).follow("Delete the customer")
    assert status_of(books, customer_id) == "active"
    visitor.press("Delete customer")
    assert "The customer is deleted." in visitor.page.text
    assert status_of(books, customer_id) == "canceled"
    assert visitor.visit(address).answer.status_code == 404


def test_the_start_page_opens_anybody_s_portal(
    books: Books, visitor: Visitor, customer_id: str, cashier: Flask
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    visitor.visit("/")
    assert "No events are still to be delivered." in visitor.page.text
    assert "olga@example.com Lightwell Team. Active." in visitor.page.text
    visitor.press("Open portal")
    assert "Billing" in visitor.page.text
    assert "Customers" in visitor.follow("Back to the shop").page.text


def test_nobody_reaches_another_customer_s_subscription(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    theirs = books.subscribe(books.create_customer("else@example.com")["id"], ["price_team_month"])
    own = a_portal(books, customer_id)
    for path in ("cancel", "change", "pause", "end-period"):
        assert visitor.client.post(f"{own}/{theirs['id']}/{path}").status_code == 404
    assert books.subscription(theirs["id"]) == theirs


def test_a_step_that_is_too_late_says_why(books: Books, visitor: Visitor, customer_id: str) -> None:
    subscription = books.subscribe(customer_id, ["price_team_month"])
    visitor.visit(a_portal(books, customer_id))
    books.cancel(subscription["id"])
    visitor.press("Pause")
    assert visitor.answer.status_code == 400
    assert "This subscription is canceled" in visitor.page.text


def test_there_are_no_other_steps(books: Books, visitor: Visitor, customer_id: str) -> None:
    subscription = books.subscribe(customer_id, ["price_team_month"])
    assert (
        visitor.client.post(
            f"{a_portal(books, customer_id)}/{subscription['id']}/refund"
        ).status_code
        == 404
    )


@pytest.mark.parametrize("fields", [{}, {"card": "stolen"}])
def test_only_the_test_cards_are_taken(
    books: Books, visitor: Visitor, customer_id: str, fields: dict[str, str]
) -> None:
    answer = visitor.client.post(an_order(books, customer_id)["url"], data=fields)
    assert answer.status_code == 400
    assert "Choose one of the two test cards." in answer.text


SCRIPT = "javascript:alert(1)"


def test_pages_lead_to_web_addresses_only(books: Books, visitor: Visitor, customer_id: str) -> None:
    session = an_order(books, customer_id, success=SCRIPT, cancel=SCRIPT)
    assert SCRIPT not in visitor.visit(session["url"]).answer.text
    visitor.press("Subscribe")
    assert visitor.answer.request.host == "cashier"
    assert "This is paid already" in visitor.page.text
    assert SCRIPT not in visitor.answer.text
    assert SCRIPT not in visitor.visit(a_portal(books, customer_id, return_url=SCRIPT)).answer.text


def test_what_customers_are_called_is_text(books: Books, visitor: Visitor) -> None:
    hostile = "<script>alert(1)</script>"
    customer_id = books.create_customer(hostile)["id"]
    for address in (
        "/",
        an_order(books, customer_id)["url"],
        a_portal(books, customer_id),
        f"/?done={hostile}",
    ):
        answer = visitor.visit(address).answer
        assert answer.status_code == 200
        assert "<script" not in answer.text


def test_pages_run_nothing_and_load_nothing_from_elsewhere(
    books: Books, visitor: Visitor, customer_id: str
) -> None:
    books.subscribe(customer_id, ["price_team_month"])
    for address in (
        "/",
        a_portal(books, customer_id),
        an_order(books, customer_id)["url"],
        "/nothing",
    ):
        answer = visitor.visit(address).answer
        assert answer.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'"
        )
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        loaded = re.findall(r'<(?:link|img|script)[^>]+(?:href|src)="([^"]+)', answer.text)
        assert len(loaded) == 3
        assert all(visitor.client.get(link).status_code == 200 for link in loaded)


def test_words() -> None:
    assert money(-1450) == "−$14.50"
    assert money(123_456_78) == "$123,456.78"
    assert rate(PRICES["price_images_metered"]) == "$0.001 an image"


def test_what_a_change_means(books: Books, customer_id: str) -> None:
    team = books.subscribe(customer_id, ["price_business_month"], trial_days=7)
    assert "trial goes on until 27 November 2026" in effect_of_change(
        team, [PRICES["price_team_month"]]
    )
    paid = books.subscribe(customer_id, ["price_business_month"])
    assert "taken off the next invoices" in effect_of_change(paid, [PRICES["price_team_month"]])
    books.set_card(customer_id, "declines")
    books.cancel(books.end_period(paid["id"])["id"], at_period_end=True)
    assert state(books.subscription(paid["id"])).endswith("It ends on 20 December 2026.")
