"""The fake Stripe's HTTP API, asked by Stripe's own SDK and by hand."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import stripe
from flask import Flask
from stripe import StripeClient
from werkzeug.test import TestResponse

from dev.stripe.factory import create_fake_stripe
from dev.stripe.state import FakeStripe
from tests.dev.stripe.wire import InProcess

KEY = "sk_test_of_tests"
NOTHING: Mapping[str, Any] = {}


@pytest.fixture
def fake_stripe() -> Flask:
    return create_fake_stripe(KEY, "whsec_of_tests")


@pytest.fixture
def state(fake_stripe: Flask) -> FakeStripe:
    state = fake_stripe.extensions["state"]
    assert isinstance(state, FakeStripe)
    return state


@pytest.fixture
def api(fake_stripe: Flask) -> StripeClient:
    return StripeClient(
        KEY, base_addresses={"api": "http://stripe.test"}, http_client=InProcess(fake_stripe)
    )


@pytest.fixture
def customer(api: StripeClient) -> str:
    return api.v1.customers.create(
        {"email": "ada@example.com", "name": "Ada", "metadata": {"org_id": "org_1"}}
    ).id


def post(
    fake_stripe: Flask, path: str, form: Mapping[str, str], key: str = KEY, **headers: str
) -> TestResponse:
    return fake_stripe.test_client().post(
        path, data=form, headers={"Authorization": f"Bearer {key}", **headers}
    )


class TestJourneys:
    def test_a_customer(self, api: StripeClient, customer: str) -> None:
        found = api.v1.customers.retrieve(customer)
        assert found.metadata
        assert (found.email, found.name, found.metadata["org_id"]) == (
            "ada@example.com",
            "Ada",
            "org_1",
        )
        assert api.v1.customers.update(customer, {"name": "Ada L."}).name == "Ada L."
        assert api.v1.customers.delete(customer).deleted is True
        assert api.v1.customers.retrieve(customer).deleted is True
        with pytest.raises(stripe.InvalidRequestError, match="No such customer") as refusal:
            api.v1.billing_portal.sessions.create({"customer": customer})
        assert (refusal.value.code, refusal.value.param, refusal.value.http_status) == (
            "resource_missing", "customer", 400,
        )  # fmt: skip

    def test_checkout(self, api: StripeClient, state: FakeStripe, customer: str) -> None:
        session = api.v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": customer,
                "client_reference_id": "org_1",
                "line_items": [
                    {"price": "price_team_month", "quantity": 1},
                    {"price": "price_images_metered"},
                ],
                "subscription_data": {"metadata": {"org_id": "org_1"}, "trial_period_days": 7},
                "success_url": "https://lightwell.test/?session={CHECKOUT_SESSION_ID}",
                "cancel_url": "https://lightwell.test/",
            }
        )
        assert session.url == f"http://stripe.test/checkout/{session.id}"
        listed = api.v1.checkout.sessions.list({"customer": customer, "status": "open"})
        assert [entry.id for entry in listed.data] == [session.id]
        state.checkout.complete(session.id)
        done = api.v1.checkout.sessions.retrieve(session.id)
        assert (done.status, done.url, done.payment_status) == (
            "complete",
            None,
            "no_payment_required",
        )
        subscription = api.v1.subscriptions.retrieve(str(done.subscription))
        assert (subscription.status, subscription.metadata["org_id"]) == ("trialing", "org_1")
        assert [item.price.id for item in subscription.items.data] == [
            "price_team_month",
            "price_images_metered",
        ]

    def test_an_expired_checkout(self, api: StripeClient, customer: str) -> None:
        lines = [{"price": "price_team_month", "quantity": 1}]
        session = post_session(api, customer, lines)
        assert api.v1.checkout.sessions.expire(session).status == "expired"
        with pytest.raises(stripe.InvalidRequestError, match="expired"):
            api.v1.checkout.sessions.expire(session)

    def test_a_subscription_is_changed_and_cancelled(
        self, api: StripeClient, state: FakeStripe, customer: str
    ) -> None:
        subscription = state.subscriptions.create(customer, ["price_team_month"])
        item = subscription["items"]["data"][0]["id"]
        changed = api.v1.subscriptions.update(
            subscription["id"],
            {
                "items": [
                    {"id": item, "price": "price_business_month"},
                    {"price": "price_images_metered"},
                ],
                "cancel_at_period_end": True,
                "metadata": {"why": "growth"},
            },
        )
        assert [entry.price.id for entry in changed.items.data] == [
            "price_business_month",
            "price_images_metered",
        ]
        assert (changed.cancel_at_period_end, changed.metadata["why"]) == (True, "growth")
        metered = changed.items.data[1].id
        changed = api.v1.subscriptions.update(
            subscription["id"],
            {"items": [{"id": metered, "deleted": True}], "cancel_at_period_end": False},
        )
        assert ([entry.id for entry in changed.items.data], changed.cancel_at_period_end) == (
            [item],
            False,
        )
        assert api.v1.subscriptions.cancel(subscription["id"]).status == "canceled"
        with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
            api.v1.subscriptions.cancel(subscription["id"])

    def test_an_update_that_is_refused_changes_nothing(
        self, api: StripeClient, state: FakeStripe, customer: str
    ) -> None:
        subscription = state.subscriptions.create(customer, ["price_team_month"])
        state.subscriptions.pause(subscription["id"])
        before = state.journal.events()
        with pytest.raises(stripe.InvalidRequestError, match="paused"):
            api.v1.subscriptions.update(
                subscription["id"], {"metadata": {"a": "b"}, "cancel_at_period_end": True}
            )
        assert state.journal.events() == before

    def test_a_portal_session(self, api: StripeClient, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, ["price_team_month"])
        session = api.v1.billing_portal.sessions.create(
            {
                "customer": customer,
                "return_url": "https://lightwell.test/",
                "flow_data": {
                    "type": "subscription_update_confirm",
                    "subscription_update_confirm": {
                        "subscription": subscription["id"],
                        "items": [
                            {
                                "id": subscription["items"]["data"][0]["id"],
                                "price": "price_team_year",
                                "quantity": 1,
                            }
                        ],
                    },
                    "after_completion": {
                        "type": "redirect",
                        "redirect": {"return_url": "https://lightwell.test/"},
                    },
                },
            }
        )
        assert session.url == f"http://stripe.test/portal/{session.id}"
        assert (
            state.portal.confirm(session.id)["items"]["data"][0]["price"]["id"] == "price_team_year"
        )

    def test_what_was_paid(self, api: StripeClient, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, ["price_team_month"])
        (invoice,) = api.v1.invoices.list({"customer": customer, "status": "paid"}).data
        assert api.v1.invoices.retrieve(invoice.id).amount_paid == 2900
        assert invoice.parent
        assert invoice.parent.subscription_details
        assert invoice.parent.subscription_details.subscription == subscription["id"]
        assert api.v1.invoices.list({"subscription": "sub_other"}).data == []
        charge = api.v1.charges.retrieve(state.journal.all("charge", customer)[0]["id"])
        assert (charge.customer, charge.amount) == (customer, 2900)
        metered = api.v1.prices.retrieve("price_images_metered").recurring
        assert metered
        assert metered.usage_type == "metered"
        paid = api.v1.events.list({"type": "invoice.paid"}).data
        assert [api.v1.events.retrieve(event.id).data.object.id for event in paid] == [invoice.id]

    def test_usage(self, api: StripeClient, state: FakeStripe, customer: str) -> None:
        payload = {"stripe_customer_id": customer, "value": "3"}
        event = api.v1.billing.meter_events.create(
            {"event_name": "images", "identifier": "entry_1", "payload": payload}
        )
        assert (event.identifier, event.payload["value"]) == ("entry_1", "3")
        with pytest.raises(
            stripe.InvalidRequestError, match="An event already exists with identifier entry_1"
        ) as again:
            api.v1.billing.meter_events.create(
                {
                    "event_name": "images",
                    "identifier": "entry_1",
                    "payload": payload,
                    "timestamp": event.timestamp,
                }
            )
        assert (again.value.code, again.value.http_status) == (None, 400)
        assert [entry["identifier"] for entry in state.meter.all()] == ["entry_1"]


def post_session(
    api: StripeClient,
    customer: str,
    lines: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any] = NOTHING,
) -> str:
    given = {
        "mode": "subscription",
        "customer": customer,
        "line_items": lines,
        "success_url": "http://here",
        **more,
    }
    return api.v1.checkout.sessions.create(given).id  # type: ignore[arg-type]  # some are wrong on purpose


class TestLists:
    def test_are_newest_first_and_go_on(
        self, api: StripeClient, state: FakeStripe, customer: str
    ) -> None:
        made = [state.subscriptions.create(customer, ["price_team_month"])["id"] for _ in range(5)]
        page = api.v1.subscriptions.list({"customer": customer, "limit": 2})
        assert ([entry.id for entry in page.data], page.has_more) == (made[:2:-1], True)
        assert [entry.id for entry in page.auto_paging_iter()] == made[::-1]
        last = api.v1.subscriptions.list(
            {"customer": customer, "limit": 2, "starting_after": made[1]}
        )
        assert ([entry.id for entry in last.data], last.has_more) == ([made[0]], False)

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (None, ["active", "past_due", "incomplete_expired"]),
            ("all", ["active", "past_due", "canceled", "incomplete_expired"]),
            ("ended", ["canceled", "incomplete_expired"]),
            ("past_due", ["past_due"]),
        ],
    )
    def test_of_subscriptions_leave_canceled_ones_out(
        self,
        api: StripeClient,
        state: FakeStripe,
        customer: str,
        status: str | None,
        expected: list[str],
    ) -> None:
        ids = [state.subscriptions.create(customer, ["price_team_month"])["id"] for _ in range(3)]
        state.customers.set_card(customer, "declines")
        state.subscriptions.end_period(ids[1])
        state.subscriptions.cancel(ids[2])
        state.subscriptions.expire(
            state.subscriptions.create(customer, ["price_team_year"], card="declines")["id"]
        )
        found = api.v1.subscriptions.list(
            {"customer": customer, **({"status": status} if status else {})}
        )
        assert sorted(entry.status for entry in found.data) == sorted(expected)

    def test_may_be_of_one_price(self, api: StripeClient, state: FakeStripe, customer: str) -> None:
        state.subscriptions.create(customer, ["price_team_month"])
        wanted = state.subscriptions.create(customer, ["price_team_year"])["id"]
        assert [
            entry.id for entry in api.v1.subscriptions.list({"price": "price_team_year"}).data
        ] == [wanted]

    def test_are_those_of_one_customer(
        self, api: StripeClient, state: FakeStripe, customer: str
    ) -> None:
        other = state.customers.create("eve@example.com")["id"]
        state.subscriptions.create(other, ["price_team_month"])
        assert api.v1.subscriptions.list({"customer": customer}).data == []
        with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_nobody'"):
            api.v1.subscriptions.list({"customer": "cus_nobody"})

    @pytest.mark.parametrize(
        "page", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"starting_after": "sub_none"}]
    )
    def test_refuse_pages_that_are_none(self, api: StripeClient, page: Any) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.subscriptions.list(page)


class TestRefusals:
    @pytest.mark.parametrize("key", ["", "sk_test_of_other", KEY + "x"])
    def test_another_key(self, fake_stripe: Flask, state: FakeStripe, key: str) -> None:
        answer = post(fake_stripe, "/v1/customers", {"email": "ada@example.com"}, key)
        assert (answer.status_code, answer.json and answer.json["error"]["type"]) == (
            401,
            "invalid_request_error",
        )
        assert state.customers.all() == []
        assert "sk_test_of_other" not in answer.text

    def test_no_key(self, fake_stripe: Flask) -> None:
        for path in ("/v1/customers/cus_1", "/v1/nowhere"):
            assert fake_stripe.test_client().get(path).status_code == 401
            assert (
                fake_stripe.test_client()
                .get(path, headers={"Authorization": f"Basic {KEY}"})
                .status_code
                == 401
            )

    def test_the_sdk_takes_it_for_what_it_is(self, fake_stripe: Flask) -> None:
        wrong = StripeClient("sk_test_wrong", http_client=InProcess(fake_stripe))
        with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
            wrong.v1.customers.retrieve("cus_1")

    @pytest.mark.parametrize(
        "path",
        [
            "customers/x",
            "subscriptions/x",
            "checkout/sessions/x",
            "invoices/x",
            "charges/x",
            "events/x",
            "prices/x",
        ],
    )
    def test_unknown_ids_are_404(self, fake_stripe: Flask, path: str) -> None:
        answer = fake_stripe.test_client().get(
            f"/v1/{path}", headers={"Authorization": f"Bearer {KEY}"}
        )
        error = answer.get_json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (
            404,
            "resource_missing",
            "id",
        )
        assert error["message"].endswith(": 'x'")

    def test_unknown_urls_are_404(self, fake_stripe: Flask) -> None:
        answer = post(fake_stripe, "/v1/refunds", {})
        assert (answer.status_code, answer.get_json()["error"]["message"]) == (
            404, "Unrecognized request URL (POST: /v1/refunds).",
        )  # fmt: skip
        assert answer.headers["Request-Id"].startswith("req_")

    @pytest.mark.parametrize(
        ("form", "code", "param"),
        [
            ({"emial": "ada@example.com"}, "parameter_unknown", "emial"),
            ({"email[0]": "ada@example.com"}, None, "email"),
            ({"metadata": "org_1"}, None, "metadata"),
            ({"metadata[a][b]": "c"}, None, "metadata"),
            ({"metadata": "a", "metadata[b]": "c"}, None, "metadata[b]"),
        ],
    )
    def test_parameters_that_are_none(
        self,
        fake_stripe: Flask,
        state: FakeStripe,
        form: dict[str, str],
        code: str | None,
        param: str,
    ) -> None:
        answer = post(fake_stripe, "/v1/customers", form)
        error = answer.get_json()["error"]
        assert (answer.status_code, error.get("code"), error["param"]) == (400, code, param)
        assert state.journal.events() == []

    @pytest.mark.parametrize(
        ("lines", "more"),
        [
            ([], {}),
            ([{"price": "price_team_month"}], {}),
            ([{"price": "price_team_month", "quantity": 2}], {}),
            ([{"price": "price_images_metered", "quantity": 1}], {}),
            ([{"price": "price_of_nothing", "quantity": 1}], {}),
            ([{"price": "price_team_month", "quantity": 1, "amount": 5}], {}),
            ([{"price": "price_team_month", "quantity": 1}], {"mode": "payment"}),
            (
                [{"price": "price_team_month", "quantity": 1}],
                {"success_url": "javascript:alert(1)"},
            ),
            ([{"price": "price_team_month", "quantity": 1}], {"success_url": None}),
            ([{"price": "price_team_month", "quantity": 1}], {"customer": "cus_nobody"}),
            (
                [{"price": "price_team_month", "quantity": 1}],
                {"subscription_data": {"trial_period_days": -1}},
            ),
        ],
    )
    def test_checkouts_that_stripe_would_not_open(
        self,
        api: StripeClient,
        state: FakeStripe,
        customer: str,
        lines: Sequence[Mapping[str, Any]],
        more: Any,
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            post_session(api, customer, lines, more)
        assert state.journal.all("checkout.session") == []

    @pytest.mark.parametrize(
        "change",
        [
            {"items": [{"id": "si_other", "price": "price_team_year"}]},
            {"items": [{"price": "price_team_year", "quantity": 7}]},
            {"cancel_at_period_end": "perhaps"},
            {"items": "price_team_year"},
            {"plan": "price_team_year"},
        ],
    )
    def test_changes_that_stripe_would_not_make(
        self, api: StripeClient, state: FakeStripe, customer: str, change: Any
    ) -> None:
        subscription = state.subscriptions.create(customer, ["price_team_month"])
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.subscriptions.update(subscription["id"], change)
        assert state.subscriptions.find(subscription["id"]) == subscription

    @pytest.mark.parametrize(
        "flow",
        [
            {"type": "subscription_cancel"},
            {"type": "subscription_update_confirm"},
            {
                "type": "payment_method_update",
                "after_completion": {"type": "redirect", "redirect": {"x": "y"}},
            },
            {
                "type": "subscription_update_confirm",
                "subscription_update_confirm": {"subscription": "sub_other", "items": []},
            },
        ],
    )
    def test_flows_that_lead_nowhere(self, api: StripeClient, customer: str, flow: Any) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.billing_portal.sessions.create({"customer": customer, "flow_data": flow})


class TestIdempotency:
    def test_the_same_request_is_done_once(self, api: StripeClient, state: FakeStripe) -> None:
        made = [
            api.v1.customers.create({"email": "ada@example.com"}, {"idempotency_key": "once"})
            for _ in range(2)
        ]
        assert made[0].id == made[1].id
        assert len(state.customers.all()) == 1
        answers = [entry.last_response for entry in made if entry.last_response]
        assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [
            None,
            "true",
        ]

    def test_another_request_with_its_key_is_refused(
        self, api: StripeClient, state: FakeStripe
    ) -> None:
        api.v1.customers.create({"email": "ada@example.com"}, {"idempotency_key": "once"})
        with pytest.raises(stripe.IdempotencyError, match="same parameters"):
            api.v1.customers.create({"email": "eve@example.com"}, {"idempotency_key": "once"})
        assert len(state.customers.all()) == 1

    def test_refusals_are_repeated_too(
        self, api: StripeClient, state: FakeStripe, customer: str
    ) -> None:
        def cancel() -> tuple[Any, int | None]:
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                api.v1.subscriptions.update(
                    subscription["id"], {"cancel_at_period_end": True}, {"idempotency_key": "once"}
                )
            return refusal.value.json_body, refusal.value.http_status

        subscription = state.subscriptions.create(customer, ["price_team_month"])
        state.subscriptions.pause(subscription["id"])
        refused = cancel()
        state.subscriptions.resume(subscription["id"])
        assert cancel() == refused
        assert state.subscriptions.find(subscription["id"])["cancel_at_period_end"] is False

    def test_a_request_that_was_not_understood_may_be_corrected(self, fake_stripe: Flask) -> None:
        once = {"Idempotency-Key": "once"}
        assert (
            post(fake_stripe, "/v1/customers", {"emial": "a@example.com"}, **once).status_code
            == 400
        )
        assert (
            post(fake_stripe, "/v1/customers", {"email": "a@example.com"}, **once).status_code
            == 200
        )

    def test_requests_at_one_time_are_done_once(self, api: StripeClient, state: FakeStripe) -> None:
        together = Barrier(4)

        def create(round_number: int) -> str:
            together.wait()
            key = f"round-{round_number}"
            return api.v1.customers.create(
                {"email": "ada@example.com"}, {"idempotency_key": key}
            ).id

        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(create, [number for number in range(10) for _ in range(4)]))
        assert len(set(made)) == len(state.customers.all()) == 10
