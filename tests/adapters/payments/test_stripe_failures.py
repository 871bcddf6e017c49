"""Payments when Stripe is down, slow, or not there at all."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.adapters.payments.interface import (
    ChangeRefused,
    CustomerGone,
    PriceLine,
    Subscription,
    SubscriptionItem,
)
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown
from tests.adapters.painter_server import says
from tests.adapters.payments.stripe_server import (
    CLOSED,
    KEY,
    Answer,
    answering,
    client_of,
    falls_silent,
    hangs_up,
    refusal,
    running_stripe,
    stops_in_the_middle,
)
from tests.billing import SECRETS, BillingEnv, open_billing_env
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, wait_until

SHOP = "https://shop.example/"
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
FAILURES: dict[str, Answer] = {
    "500": says(refusal("Sorry.", "api_error"), 500),
    "500 without a body": says(b"", 500),
    "502 as a page": says(HTML, 502),
    "503 as text in JSON": says({"error": "upstream connect error"}, 503),
    "503 as a list": says([], 503),
    "429": says(refusal("Too many requests.", code="rate_limit"), 429),
    "409 in use": says(refusal("In use.", "idempotency_error", code="idempotency_key_in_use"), 409),
    "a page instead of an answer": says(HTML),
    "no UTF-8": says(b"\xff\xfe\x00"),
    "an answer without what was asked for": says({}),
    "nothing at all": says(b""),
    "401": says(refusal("Invalid API Key provided: sk_test_****1234"), 401),
    "403": says(refusal("The provided key does not have the required permissions."), 403),
    "a key used for something else": says(
        refusal("Keys for idempotent requests…", "idempotency_error"), 400
    ),
    "a redirect to nowhere": says(b"", 302, Location=CLOSED),
    "hangs up": hangs_up,
    "stops in the middle": stops_in_the_middle,
    "falls silent": falls_silent,
}


@pytest.fixture
def account(make_account: AccountMaker) -> Account:
    return make_account(plan="FREE", requests_per_second=1000)


@pytest.fixture
def buy(app: Flask, account: Account, clock: Clock) -> Callable[..., Any]:
    """Ask for a checkout and the portal, with a provider that is elsewhere."""

    def buy(payments: StripePayments, path: str = "checkout") -> Any:
        with open_billing_env(app, clock, payments=payments):
            return app.test_client().post(
                f"/billing/{path}", headers=bearer(account.key), json={"plan": "TEAM"}
            )

    return buy


def assert_down(answer: Any) -> None:
    assert (answer.status_code, answer.json["code"]) == (503, "dependency_down"), answer.json
    assert int(answer.headers["Retry-After"]) > 0
    assert "Nothing was bought or changed" in answer.json["error"]


@pytest.mark.parametrize("failure", FAILURES)
def test_stripe_failing_is_told_as_such(
    impatient: None, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    with (
        answering(FAILURES[failure], seconds=0.1) as payments,
        pytest.raises(DependencyDown) as raised,
    ):
        payments.create_customer("org_1", 1, "a", "a@example.com")
    assert raised.value.headers["Retry-After"]
    assert "payments." in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("failure", ["500", "an answer without what was asked for", "falls silent"])
def test_stripe_failing_is_a_503_and_changes_nothing(
    billing_env: BillingEnv,
    account: Account,
    buy: Callable[..., Any],
    impatient: None,
    failure: str,
) -> None:
    with answering(FAILURES[failure], seconds=0.1) as payments:
        assert_down(buy(payments))
    assert billing_env.billing(account).customer_id is None
    customer = billing_env.customer(account)
    with answering(FAILURES[failure], seconds=0.1) as payments:
        assert_down(buy(payments))
        assert_down(buy(payments, "portal"))
    assert billing_env.billing(account).customer_id == customer
    assert billing_env.billing(account).revision == 0


def test_nobody_listening_is_a_503(buy: Callable[..., Any], impatient: None) -> None:
    with client_of(CLOSED) as payments:
        assert_down(buy(payments))


def test_what_is_locked_for_a_moment_is_asked_again(impatient: None) -> None:
    answers = iter(
        [
            says(refusal("In use.", "idempotency_error", code="idempotency_key_in_use"), 409),
            says({"id": "cus_1"}),
        ]
    )
    with (
        running_stripe(lambda handler: next(answers)(handler)) as server,
        client_of(server.url) as payments,
    ):
        assert payments.create_customer("org_1", 1, "a", "a@example.com") == "cus_1"
        first, again = server.requests
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]


def test_a_slow_stripe_holds_back_only_so_many_requests(
    app: Flask,
    clock: Clock,
    account: Account,
    buy: Callable[..., Any],
    client: ApiClient,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The customer's others are turned away once their wait is over, and all that needs no
    Stripe goes on."""
    outbound = app.extensions["lightwell"].outbound_calls
    places = outbound.max_per_group
    monkeypatch.setattr(outbound, "max_wait", 0.0)

    def ask() -> Any:
        return app.test_client().post(
            "/billing/checkout", headers=bearer(account.key), json={"plan": "TEAM"}
        )

    with (
        running_stripe(falls_silent) as server,
        client_of(server.url) as payments,
        open_billing_env(app, clock, payments=payments),
        ThreadPoolExecutor(places) as threads,
    ):
        waiting = [threads.submit(ask) for _ in range(places)]
        wait_until(lambda: len(server.requests) == places, "all places to be taken")
        began = time.monotonic()
        turned_away = ask()
        assert (turned_away.status_code, turned_away.json["code"]) == (503, "overloaded")
        assert turned_away.headers["Retry-After"]
        assert client.get("/usage", headers=bearer(account.key)).status_code == 200
        assert time.monotonic() - began < 2
        assert not [one for one in waiting if one.done()]
        server.answer = hangs_up
        server.stopping.set()
        for one in waiting:
            assert_down(one.result())


@pytest.mark.slow
def test_a_silent_stripe_is_given_up_within_seconds(buy: Callable[..., Any]) -> None:
    """With the time limits that hold in earnest."""
    with running_stripe(falls_silent) as server:
        began = time.monotonic()
        assert_down(buy(StripePayments(KEY, SECRETS, server.url)))
        assert 3 < time.monotonic() - began < 12


def test_a_portal_that_changes_no_plans_is_the_operators_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disabled = says(
        refusal("The subscription update feature in the portal configuration is disabled."), 400
    )
    gone = says(
        refusal("No such customer: 'cus_1'", code="resource_missing", param="customer"), 400
    )
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    running = Subscription(
        "sub_1", "cus_1", "active", [SubscriptionItem("si_1", "price_1", moment)], moment, None
    )
    for answer, refused in ((disabled, ChangeRefused), (gone, CustomerGone)):
        with answering(answer) as payments, pytest.raises(refused):
            payments.change(running, [PriceLine("price_2")], SHOP, SHOP)
    assert caplog.text.count("payments.refused") == 1
