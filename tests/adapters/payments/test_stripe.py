"""Payments over real sockets: all calls against the fake Stripe, what is sent, and how answers are
read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.request import urlopen

import pytest
import stripe
from flask import Flask
from werkzeug.serving import make_server

from app.adapters.payments import stripe as adapter
from app.adapters.payments.interface import (
    CustomerGone,
    InvalidSignature,
    Price,
    PriceLine,
    Subscription,
    SubscriptionItem,
)
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown
from dev.stripe.factory import create_fake_stripe
from tests.adapters.painter_server import says
from tests.adapters.payments.stripe_server import (
    CLOSED,
    KEY,
    answering,
    client_of,
    refusal,
    running_stripe,
)
from tests.billing import METERED, SECRETS, BillingEnv
from tests.clock import Clock, real_now

BACK = "https://lightwell.example/back"
DONE = "https://lightwell.example/done"
MOMENT = 1_790_000_000


@contextmanager
def served(fake_stripe: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, fake_stripe, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def subscription(**changes: Any) -> dict[str, Any]:
    """As much of Stripe's object as counts."""
    item = {
        "id": "si_1",
        "object": "subscription_item",
        "price": {"id": "price_1"},
        "current_period_end": MOMENT + 100,
    }
    return {
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "created": MOMENT,
        "cancel_at": None, "cancel_at_period_end": False,
        "items": {"object": "list", "data": [item]}, **changes,
    }  # fmt: skip


# All calls


def test_all_calls_over_a_real_connection(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fake_stripe = create_fake_stripe(KEY, SECRETS[0], None, None, clock)
    state = fake_stripe.extensions["state"]
    with served(fake_stripe) as url, client_of(url) as payments:
        customer = payments.create_customer("org_1", 1, "Ünïcode & Söhne", "a+b@example.com")
        assert (
            payments.create_customer("org_1", 1, "Ünïcode & Söhne", "a+b@example.com") == customer
        )
        assert (
            payments.create_customer("org_1", 2, "Ünïcode & Söhne", "a+b@example.com") != customer
        )
        assert state.customers.find(customer)["name"] == "Ünïcode & Söhne"
        assert state.customers.find(customer)["metadata"] == {"org_id": "org_1"}
        assert payments.subscriptions_of(customer) == []

        lines = [PriceLine("price_team_month"), PriceLine(METERED, metered=True)]
        first = payments.checkout("org_1", customer, lines[:1], BACK, BACK)
        page = payments.checkout("org_1", customer, lines, BACK, BACK)
        closed, opened = state.journal.all("checkout.session")
        assert (closed["status"], opened["status"], opened["url"]) == ("expired", "open", page)
        assert first != page
        state.checkout.complete(opened["id"])

        (bought,) = payments.subscriptions_of(customer)
        assert list(payments.subscriptions()) == [bought]
        assert (bought.customer_id, bought.status, bought.cancel_at) == (customer, "active", None)
        assert [item.price_id for item in bought.items] == ["price_team_month", METERED]
        assert bought.created_at <= clock() < bought.items[0].period_end
        assert (
            payments.customer_of_charge(state.journal.all("charge", customer)[0]["id"]) == customer
        )

        one = replace(bought, items=bought.items[:1])
        assert payments.change(one, [PriceLine("price_business_month")], BACK, BACK).startswith(url)
        state.portal.confirm(state.journal.all("billing_portal.session")[-1]["id"])
        assert [item.price_id for item in payments.subscriptions_of(customer)[0].items] == [
            "price_business_month",
            METERED,
        ]
        assert payments.portal(customer, BACK).startswith(url)

        for _ in range(2):
            payments.meter("images", "use_1", customer, 7, clock())
        assert [event["payload"]["value"] for event in state.meter.all()] == ["7"]

        state.subscriptions.cancel(bought.id, at_period_end=True)
        assert payments.subscriptions_of(customer)[0].cancel_at == bought.items[0].period_end
        assert payments.price("price_team_year") == Price(29000, "usd")
        assert payments.price(METERED).cents is None
        latest, first_one = payments.invoices(customer)
        assert payments.invoices(customer, limit=1) == [latest]
        assert (first_one.cents, first_one.status) == (2900, "paid")
        assert latest.number.endswith("-0002")
        assert latest.issued_at <= clock()
        assert str(latest.pdf_url) == f"{latest.url}/pdf"
        with urlopen(str(latest.pdf_url)) as file:
            assert file.read().startswith(b"%PDF-1.4")

        for subscription_id in (bought.id, bought.id, "sub_never_was"):
            payments.cancel(subscription_id)
        assert payments.subscriptions_of(customer) == []
        assert state.subscriptions.find(bought.id)["status"] == "canceled"
        state.customers.delete(customer)
        with pytest.raises(CustomerGone):
            payments.subscriptions_of(customer)
    assert KEY not in caplog.text


def test_all_subscriptions_are_read_page_by_page(
    billing_env: BillingEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAGE", 2)
    customer = billing_env.stripe.customers.create("a@example.com")["id"]
    made = [
        billing_env.stripe.subscriptions.create(customer, ["price_team_month"])["id"]
        for _ in range(5)
    ]
    assert sorted(
        one.id for one in billing_env.provider.payments.subscriptions_of(customer)
    ) == sorted(made)
    assert sorted(one.id for one in billing_env.provider.payments.subscriptions()) == sorted(made)


def test_what_is_sent(impatient: None) -> None:
    """The version and the names of parameters are Stripe's; the fake Stripe is not the only judge
    of that."""
    with (
        running_stripe(says({"id": "bps_1", "url": "https://x", "data": []})) as server,
        client_of(server.url) as payments,
    ):
        item = SubscriptionItem("si_1", "price_1", moment(MOMENT))
        running = Subscription("sub_1", "cus_1", "active", [item], moment(MOMENT), None)
        payments.change(running, [PriceLine("price_2")], DONE, BACK)
        payments.checkout(
            "org_1", "cus_1", [PriceLine("price_1"), PriceLine("price_m", metered=True)], BACK, BACK
        )
        payments.meter("images", "use_1", "cus_1", 7, moment(MOMENT))
        change, listed, opened, metered = server.requests
    assert change.headers["Authorization"] == f"Bearer {KEY}"
    assert change.headers["Stripe-Version"].startswith("2026-10-28")
    flow = "flow_data[subscription_update_confirm]"
    assert change.path == "/v1/billing_portal/sessions"
    assert change.sent == {
        "customer": "cus_1",
        "return_url": BACK,
        "flow_data[type]": "subscription_update_confirm",
        f"{flow}[subscription]": "sub_1",
        f"{flow}[items][0][id]": "si_1",
        f"{flow}[items][0][price]": "price_2",
        f"{flow}[items][0][quantity]": "1",
        "flow_data[after_completion][type]": "redirect",
        "flow_data[after_completion][redirect][return_url]": DONE,
    }
    assert (listed.path, listed.sent) == (
        "/v1/checkout/sessions",
        {"customer": "cus_1", "status": "open"},
    )
    assert (opened.method, opened.path) == ("POST", "/v1/checkout/sessions")
    sold = {name: value for name, value in opened.sent.items() if name.startswith("line_items")}
    assert sold == {
        "line_items[0][price]": "price_1", "line_items[0][quantity]": "1",
        "line_items[1][price]": "price_m"
    }  # fmt: skip
    assert (metered.path, metered.sent["identifier"]) == ("/v1/billing/meter_events", "use_1")
    assert metered.sent["timestamp"] == str(MOMENT)


def test_a_customer_is_asked_for_by_the_same_key_until_it_is_another(impatient: None) -> None:
    with running_stripe(says({"id": "cus_1"})) as server, client_of(server.url) as payments:
        for number, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b")):
            payments.create_customer("org_1", number, name, "a@example.com")
        first, again, second, renamed = (
            seen.headers["Idempotency-Key"] for seen in server.requests
        )
    assert first == again
    assert len({first, second, renamed}) == 3


# How answers are read


@pytest.mark.parametrize(
    ("changes", "cancel_at"),
    [
        ({}, None),
        ({"cancel_at": MOMENT + 7}, MOMENT + 7),
        ({"cancel_at": MOMENT + 7, "cancel_at_period_end": True}, MOMENT + 7),
        ({"cancel_at_period_end": True}, MOMENT + 100),
    ],
)
def test_when_a_subscription_ends(changes: dict[str, Any], cancel_at: int | None) -> None:
    with listing(subscription(**changes)) as payments:
        (read,) = payments.subscriptions()
    assert read.cancel_at == (cancel_at and moment(cancel_at))
    assert (read.id, read.customer_id, read.created_at) == ("sub_1", "cus_1", moment(MOMENT))
    assert list(read.items) == [SubscriptionItem("si_1", "price_1", moment(MOMENT + 100))]


def test_a_customer_may_stand_there_whole(impatient: None) -> None:
    whole = {"id": "cus_1", "object": "customer", "email": "a@example.com"}
    with listing(subscription(customer=whole)) as payments:
        assert [one.customer_id for one in payments.subscriptions()] == ["cus_1"]
    for customer in ("cus_1", whole):
        with answering(says({"id": "ch_1", "object": "charge", "customer": customer})) as payments:
            assert payments.customer_of_charge("ch_1") == "cus_1"
    with answering(says({"id": "ch_1", "object": "charge", "customer": None})) as payments:
        assert payments.customer_of_charge("ch_1") is None


@pytest.mark.parametrize(
    ("total", "currency", "cents"), [(2900, "usd", 2900), (-150, "eur", -150), (900, "jpy", 90000)]
)
def test_invoices_are_in_hundredths_and_no_drafts(total: int, currency: str, cents: int) -> None:
    invoice = {
        "id": "in_1", "object": "invoice", "number": None, "created": MOMENT, "total": total,
        "currency": currency, "status": "open", "hosted_invoice_url": None, "invoice_pdf": None,
    }  # fmt: skip
    listed = [invoice | {"status": "draft"}, invoice]
    body = {"object": "list", "url": "/v1/invoices", "has_more": False, "data": listed}
    with running_stripe(says(body)) as server, client_of(server.url) as payments:
        (read,) = payments.invoices("cus_1", limit=7)
        (asked,) = server.requests
    assert (read.cents, read.currency, read.status, read.number) == (
        cents,
        currency,
        "open",
        "in_1",
    )
    assert (read.issued_at, read.url, read.pdf_url) == (moment(MOMENT), None, None)
    assert (asked.path, asked.sent) == ("/v1/invoices", {"customer": "cus_1", "limit": "7"})


@contextmanager
def listing(*subscriptions: dict[str, Any]) -> Iterator[StripePayments]:
    body = {
        "object": "list",
        "url": "/v1/subscriptions",
        "has_more": False,
        "data": list(subscriptions),
    }
    with answering(says(body)) as payments:
        yield payments


@pytest.mark.parametrize(
    ("status", "param", "call"),
    [
        (404, "id", lambda payments: payments.subscriptions_of("cus_1")),
        (400, "customer", lambda payments: payments.portal("cus_1", BACK)),
        (
            400,
            "customer",
            lambda payments: payments.checkout(
                "org_1", "cus_1", [PriceLine("price_1")], BACK, BACK
            ),
        ),
        (
            400,
            "payload[stripe_customer_id]",
            lambda payments: payments.meter("m", "u", "cus_1", 1, moment(MOMENT)),
        ),
    ],
)
def test_a_customer_that_does_not_exist(
    impatient: None, status: int, param: str, call: Callable[[StripePayments], object]
) -> None:
    with (
        answering(
            says(refusal("No such customer: 'cus_1'", code="resource_missing", param=param), status)
        ) as payments,
        pytest.raises(CustomerGone),
    ):
        call(payments)


@pytest.mark.parametrize("param", ["line_items[0][price]", None])
def test_what_the_operator_configured_wrongly_is_not_taken_for_a_missing_customer(
    impatient: None, caplog: pytest.LogCaptureFixture, param: str | None
) -> None:
    refused = refusal("No such price: 'price_9'", code="resource_missing", param=param)
    with answering(says(refused, 400)) as payments, pytest.raises(DependencyDown):
        payments.checkout("org_1", "cus_1", [PriceLine("price_9")], BACK, BACK)
    assert "No such price: 'price_9'" in caplog.text


@pytest.mark.parametrize("code", [None, "duplicate_meter_event"])
def test_usage_that_stripe_knows_already_counts_as_reported(
    impatient: None, code: str | None
) -> None:
    """It was reported by a worker that died before it could note so."""
    known = refusal("An event already exists with identifier use_1.", code=code)
    with answering(says(known, 400)) as payments:
        payments.meter("images", "use_1", "cus_1", 7, moment(MOMENT))
    old = refusal("Too old.", code="timestamp_too_far_in_past")
    with answering(says(old, 400)) as payments, pytest.raises(DependencyDown):
        payments.meter("images", "use_1", "cus_1", 7, moment(MOMENT))


@pytest.mark.parametrize(("found", "sold"), [("expired", True), ("complete", False)])
def test_a_checkout_that_is_closed_already(impatient: None, found: str, sold: bool) -> None:
    """By a parallel request, which is as well; or by being paid, and then nothing more must be
    sold."""

    def answer(handler: Any) -> None:
        if handler.path.endswith("/expire"):
            says(refusal('Only Checkout Sessions with a status in ["open"] can be expired.'), 400)(
                handler
            )
        elif handler.command == "GET" and "?" in handler.path:
            says({"object": "list", "data": [{"id": "cs_1", "object": "checkout.session"}]})(
                handler
            )
        else:
            says(
                {"id": "cs_1", "object": "checkout.session", "status": found, "url": "https://new"}
            )(handler)

    with answering(answer) as payments:
        if sold:
            assert (
                payments.checkout("org_1", "cus_1", [PriceLine("price_1")], BACK, BACK)
                == "https://new"
            )
        else:
            with pytest.raises(DependencyDown):
                payments.checkout("org_1", "cus_1", [PriceLine("price_1")], BACK, BACK)


# Messages


def test_a_message_is_believed_for_five_minutes_and_by_any_secret() -> None:
    payments = StripePayments(KEY, SECRETS, CLOSED)
    body = (
        b'{"id": "evt_1", "type": "invoice.paid", "livemode": false, "created": 1790000000,'
        b' "data": {"object": {"object": "invoice", "customer": "cus_1"}}}'
    )
    now = int(real_now().timestamp())
    for secret in SECRETS:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, now - 280)
        event = payments.event(body, header)
        assert (event.id, event.type, event.created_at, event.subject) == (
            "evt_1",
            "invoice.paid",
            moment(MOMENT),
            "cus_1",
        )
        old = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, now - 305)
        with pytest.raises(InvalidSignature):
            payments.event(body, old)
    with pytest.raises(InvalidSignature):
        StripePayments(KEY, (), CLOSED).event(body, header)
