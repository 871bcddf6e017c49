"""What becomes of customers and their subscriptions, as Stripe's documentation tells it."""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev.stripe.errors import FakeStripeError
from dev.stripe.sessions import CheckoutOrder
from dev.stripe.state import FakeStripe
from dev.stripe.store import Document

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEAM = ["price_team_month"]
BUSINESS = ["price_business_month"]


class Clock:
    """Time that stands still, so that prices of parts of a month are exact."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> FakeStripe:
    return FakeStripe(clock=clock)


@pytest.fixture
def customer(state: FakeStripe) -> str:
    return str(state.customers.create("ada@example.com", "Ada")["id"])


def types_since(state: FakeStripe, event_id: str) -> list[str]:
    return [event["type"] for event in state.journal.events(event_id)]


def last_event(state: FakeStripe) -> str:
    return str(state.journal.events()[-1]["id"])


def amounts(state: FakeStripe, customer: str) -> list[tuple[int, str]]:
    return [
        (invoice["amount_due"], invoice["status"])
        for invoice in state.journal.all("invoice", customer)
    ]


def day_of(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def paid_until(subscription: Document) -> list[str]:
    return [day_of(item["current_period_end"]) for item in subscription["items"]["data"]]


class TestCheckout:
    def test_makes_a_paid_subscription_and_tells_of_everything(
        self, state: FakeStripe, customer: str
    ) -> None:
        order = CheckoutOrder(TEAM, metadata={"org_id": "org_1"})
        session = state.checkout.open(
            customer, order, "http://here/", {"client_reference_id": "org_1"}
        )
        before = last_event(state)

        done = state.checkout.complete(session["id"])

        subscription = state.subscriptions.find(done["subscription"])
        assert (done["status"], done["payment_status"], done["client_reference_id"]) == (
            "complete",
            "paid",
            "org_1",
        )
        assert (subscription["status"], subscription["metadata"]) == ("active", {"org_id": "org_1"})
        assert paid_until(subscription) == ["2026-12-20"]
        assert amounts(state, customer) == [(2900, "paid")]
        assert types_since(state, before) == [
            "payment_method.attached", "customer.updated", "customer.subscription.created",
            "invoice.created",
            "invoice.finalized", "charge.succeeded", "invoice.paid", "invoice.payment_succeeded",
            "customer.subscription.updated", "checkout.session.completed",
        ]  # fmt: skip

    def test_an_update_says_what_was_before(self, state: FakeStripe, customer: str) -> None:
        state.subscriptions.create(customer, TEAM)
        data = next(
            event["data"]
            for event in state.journal.events()
            if event["type"] == "customer.subscription.updated"
        )
        assert data["previous_attributes"] == {"latest_invoice": None, "status": "incomplete"}
        assert data["object"]["status"] == "active"

    def test_a_declined_card_buys_nothing_and_may_be_followed_by_another(
        self, state: FakeStripe, customer: str
    ) -> None:
        session = state.checkout.open(customer, CheckoutOrder(TEAM))
        with pytest.raises(FakeStripeError, match="declined") as refusal:
            state.checkout.complete(session["id"], "declines")
        assert (refusal.value.code, refusal.value.status) == ("card_declined", 402)
        assert state.journal.events()[-1]["type"] == "charge.failed"
        assert (
            state.journal.all("subscription", customer),
            state.checkout.find(session["id"])["status"],
        ) == (
            [],
            "open",
        )
        assert state.checkout.complete(session["id"], "works")["status"] == "complete"

    def test_a_declined_card_begins_no_trial(self, state: FakeStripe, customer: str) -> None:
        session = state.checkout.open(customer, CheckoutOrder(TEAM, trial_days=14))
        with pytest.raises(FakeStripeError, match="declined"):
            state.checkout.complete(session["id"], "declines")
        assert (
            state.journal.all("subscription", customer),
            state.journal.all("charge", customer),
        ) == ([], [])

    def test_is_over_once_it_is_paid(self, state: FakeStripe, customer: str) -> None:
        session = state.checkout.open(customer, CheckoutOrder(TEAM))
        state.checkout.complete(session["id"])
        for change in (state.checkout.complete, state.checkout.expire):
            with pytest.raises(FakeStripeError, match="complete"):
                change(session["id"])
        assert len(state.journal.all("subscription", customer)) == 1

    def test_expires_after_a_day(self, state: FakeStripe, customer: str, clock: Clock) -> None:
        session = state.checkout.open(customer, CheckoutOrder(TEAM))
        clock.advance(hours=24)
        with pytest.raises(FakeStripeError, match="expired"):
            state.checkout.complete(session["id"])
        assert (
            state.checkout.find(session["id"])["status"],
            state.journal.all("subscription", customer),
        ) == (
            "expired",
            [],
        )
        assert state.journal.events()[-1]["type"] == "checkout.session.expired"

    def test_a_trial_costs_nothing_until_it_ends(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        session = state.checkout.open(customer, CheckoutOrder(TEAM, trial_days=14))
        subscription = state.subscriptions.find(
            state.checkout.complete(session["id"])["subscription"]
        )
        assert (subscription["status"], paid_until(subscription)) == ("trialing", ["2026-12-04"])
        assert (amounts(state, customer), state.journal.all("charge", customer)) == (
            [(0, "paid")],
            [],
        )
        clock.advance(days=14)
        subscription = state.subscriptions.end_period(subscription["id"])
        assert (subscription["status"], paid_until(subscription)) == ("active", ["2027-01-04"])
        assert amounts(state, customer) == [(0, "paid"), (2900, "paid")]


class TestRenewal:
    def test_is_paid_period_by_period(self, state: FakeStripe, customer: str, clock: Clock) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        clock.advance(days=31)
        assert paid_until(state.subscriptions.end_period(subscription["id"])) == ["2027-01-20"]
        assert amounts(state, customer) == [(2900, "paid"), (2900, "paid")]

    def test_begins_now_where_the_clock_did_not_move(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription = state.subscriptions.end_period(
            state.subscriptions.create(customer, TEAM)["id"]
        )
        assert subscription["items"]["data"][0]["current_period_start"] == NOON.timestamp()

    @pytest.mark.parametrize(
        ("begun", "price", "until"),
        [
            (datetime(2027, 1, 31, tzinfo=UTC), "price_team_month", "2027-02-28"),
            (datetime(2026, 10, 31, tzinfo=UTC), "price_team_month", "2026-11-30"),
            (datetime(2026, 12, 15, tzinfo=UTC), "price_team_month", "2027-01-15"),
            (datetime(2028, 2, 29, tzinfo=UTC), "price_team_year", "2029-02-28"),
        ],
    )
    def test_months_differ(self, begun: datetime, price: str, until: str) -> None:
        state = FakeStripe(clock=lambda: begun)
        subscription = state.subscriptions.create(
            state.customers.create("a@example.com")["id"], [price]
        )
        assert paid_until(subscription) == [until]

    def test_a_declined_one_is_past_due_until_a_retry_succeeds(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        state.customers.set_card(customer, "declines")
        before = last_event(state)
        assert state.subscriptions.end_period(subscription_id)["status"] == "past_due"
        assert "invoice.payment_failed" in types_since(state, before)
        assert state.subscriptions.retry_payment(subscription_id)["status"] == "past_due"
        state.customers.set_card(customer, "declines")  # which is no reason to try
        assert state.journal.all("invoice", customer)[-1]["attempt_count"] == 2
        state.customers.set_card(customer, "works")
        assert state.subscriptions.find(subscription_id)["status"] == "active"
        assert amounts(state, customer) == [(2900, "paid"), (2900, "paid")]
        with pytest.raises(FakeStripeError, match="no invoice to pay"):
            state.subscriptions.retry_payment(subscription_id)

    def test_a_declined_end_of_a_trial_is_past_due(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM, trial_days=7, card="declines")
        assert subscription["status"] == "trialing"
        ended = state.subscriptions.end_period(subscription["id"])
        assert (ended["status"], ended["trial_end"]) == ("past_due", NOON.timestamp())

    @pytest.mark.parametrize(("how", "event"), [("canceled", "deleted"), ("unpaid", "updated")])
    def test_may_be_given_up(self, state: FakeStripe, customer: str, how: str, event: str) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        with pytest.raises(FakeStripeError, match="active"):
            state.subscriptions.give_up(subscription_id, how)  # type: ignore[arg-type]  # from the parameters
        state.customers.set_card(customer, "declines")
        state.subscriptions.end_period(subscription_id)
        given_up = state.subscriptions.give_up(subscription_id, how)  # type: ignore[arg-type]
        assert given_up["status"] == how
        assert state.journal.events()[-1]["type"] == f"customer.subscription.{event}"

    def test_an_unpaid_one_collects_drafts_until_all_is_paid(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        state.customers.set_card(customer, "declines")
        state.subscriptions.end_period(subscription_id)
        state.subscriptions.give_up(subscription_id, "unpaid")
        assert state.subscriptions.end_period(subscription_id)["status"] == "unpaid"
        assert amounts(state, customer) == [(2900, "paid"), (2900, "open"), (2900, "draft")]
        state.customers.set_card(customer, "works")
        assert state.subscriptions.find(subscription_id)["status"] == "active"
        assert {status for _, status in amounts(state, customer)} == {"paid"}
        assert [invoice["number"][-4:] for invoice in state.journal.all("invoice", customer)] == [
            "0001",
            "0002",
            "0003",
        ]


class TestFirstPayment:
    def test_declined_leaves_it_incomplete_until_a_card_works(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM, card="declines")
        assert subscription["status"] == "incomplete"
        with pytest.raises(FakeStripeError, match="incomplete"):
            state.subscriptions.end_period(subscription["id"])
        state.customers.set_card(customer, "works")
        assert state.subscriptions.find(subscription["id"])["status"] == "active"

    def test_never_made_expires(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM, card="declines")
        expired = state.subscriptions.expire(subscription["id"])
        assert expired["status"] == "incomplete_expired"
        assert amounts(state, customer) == [(2900, "void")]
        with pytest.raises(FakeStripeError, match="incomplete_expired"):
            state.subscriptions.retry_payment(subscription["id"])


class TestCancelling:
    def test_at_the_periods_end_lasts_until_then(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        cancelled = state.subscriptions.cancel(subscription["id"], at_period_end=True)
        assert (cancelled["status"], day_of(cancelled["cancel_at"])) == ("active", "2026-12-20")
        clock.advance(days=30)
        ended = state.subscriptions.end_period(subscription["id"])
        assert (ended["status"], day_of(ended["ended_at"])) == ("canceled", "2026-12-20")
        assert day_of(ended["canceled_at"]) == "2026-11-20"
        assert state.journal.events()[-1]["type"] == "customer.subscription.deleted"
        assert amounts(state, customer) == [(2900, "paid")]

    def test_may_be_taken_back(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        state.subscriptions.cancel(subscription["id"], at_period_end=True)
        kept = state.subscriptions.keep(subscription["id"])
        assert (kept["cancel_at_period_end"], kept["cancel_at"], kept["canceled_at"]) == (
            False,
            None,
            None,
        )
        assert state.subscriptions.end_period(subscription["id"])["status"] == "active"

    def test_at_once_is_final(self, state: FakeStripe, customer: str) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        assert state.subscriptions.cancel(subscription_id)["status"] == "canceled"
        for change in (
            state.subscriptions.cancel,
            state.subscriptions.keep,
            state.subscriptions.pause,
            state.subscriptions.end_period,
            state.subscriptions.retry_payment,
        ):
            with pytest.raises(FakeStripeError, match="canceled"):
                change(subscription_id)

    def test_one_that_was_never_paid_voids_its_invoice(
        self, state: FakeStripe, customer: str
    ) -> None:
        state.subscriptions.cancel(
            state.subscriptions.create(customer, TEAM, card="declines")["id"]
        )
        assert amounts(state, customer) == [(2900, "void")]


class TestChangingPrices:
    def test_an_upgrade_is_charged_for_the_time_that_is_left(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        clock.advance(days=15)  # of 30
        changed = state.subscriptions.change_prices(subscription["id"], BUSINESS)
        (item,) = changed["items"]["data"]
        assert (item["price"]["id"], item["id"]) == (
            BUSINESS[0],
            subscription["items"]["data"][0]["id"],
        )
        assert paid_until(changed) == ["2026-12-20"]
        assert amounts(state, customer) == [(2900, "paid"), (9900 // 2 - 2900 // 2, "paid")]

    def test_a_downgrade_leaves_credit_for_the_next_invoices(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription = state.subscriptions.create(customer, BUSINESS)
        clock.advance(days=15)
        state.subscriptions.change_prices(subscription["id"], TEAM)
        assert (amounts(state, customer)[-1], state.customers.find(customer)["balance"]) == (
            (0, "paid"),
            -3500,
        )
        state.subscriptions.end_period(subscription["id"])
        state.subscriptions.end_period(subscription["id"])
        assert amounts(state, customer)[-2:] == [(0, "paid"), (2300, "paid")]
        assert (
            sum(charge["amount"] for charge in state.journal.all("charge", customer)) == 9900 + 2300
        )

    def test_another_interval_begins_a_new_period(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        clock.advance(days=15)
        changed = state.subscriptions.change_prices(subscription["id"], ["price_team_year"])
        assert paid_until(changed) == ["2027-12-05"]
        assert amounts(state, customer)[-1] == (29000 - 1450, "paid")

    def test_another_interval_begins_anew_for_what_stays_too(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription = state.subscriptions.create(customer, [*TEAM, *BUSINESS])
        clock.advance(days=15)
        changed = state.subscriptions.change_prices(
            subscription["id"], [*TEAM, "price_business_year"]
        )
        assert paid_until(changed) == ["2027-01-05", "2027-12-05"]
        assert amounts(state, customer)[-1] == (2900 + 99000 - (2900 + 9900) // 2, "paid")

    def test_a_trial_goes_on(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM, trial_days=7)
        changed = state.subscriptions.change_prices(subscription["id"], ["price_business_year"])
        assert (changed["status"], paid_until(changed)) == ("trialing", ["2026-11-27"])
        assert amounts(state, customer) == [(0, "paid")]

    def test_an_upgrade_that_nobody_pays_is_past_due(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        state.customers.set_card(customer, "declines")
        changed = state.subscriptions.change_prices(subscription["id"], BUSINESS)
        assert (changed["status"], changed["items"]["data"][0]["price"]["id"]) == (
            "past_due",
            BUSINESS[0],
        )

    def test_a_downgrade_does_not_pay_what_is_open(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, BUSINESS)
        state.customers.set_card(customer, "declines")
        state.subscriptions.end_period(subscription["id"])
        assert state.subscriptions.change_prices(subscription["id"], TEAM)["status"] == "past_due"

    def test_to_what_they_are_changes_nothing(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        before = last_event(state)
        assert state.subscriptions.change_prices(subscription["id"], TEAM) == subscription
        assert types_since(state, before) == []

    @pytest.mark.parametrize("prices", [[], ["price_of_nothing"], [*TEAM, *TEAM]])
    def test_to_what_is_not_sold_is_refused(
        self, state: FakeStripe, customer: str, prices: Sequence[str]
    ) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        with pytest.raises(FakeStripeError):
            state.subscriptions.change_prices(subscription["id"], prices)
        assert state.subscriptions.find(subscription["id"]) == subscription


class TestPausing:
    def test_stops_and_goes_on(self, state: FakeStripe, customer: str, clock: Clock) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        assert state.subscriptions.pause(subscription_id)["status"] == "paused"
        with pytest.raises(FakeStripeError, match="paused"):
            state.subscriptions.end_period(subscription_id)
        before = last_event(state)
        clock.advance(days=40)
        resumed = state.subscriptions.resume(subscription_id)
        assert (resumed["status"], resumed["billing_cycle_anchor"]) == (
            "active",
            clock().timestamp(),
        )
        assert "customer.subscription.resumed" in types_since(state, before)

    def test_is_not_over_while_the_card_declines(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        paused = state.subscriptions.pause(state.subscriptions.create(customer, TEAM)["id"])
        state.customers.set_card(customer, "declines")
        clock.advance(days=40)
        tried = state.subscriptions.resume(paused["id"])
        assert (tried["status"], paid_until(tried)) == ("paused", paid_until(paused))
        assert amounts(state, customer) == [(2900, "paid"), (2900, "void")]

    def test_gives_back_the_credit_that_a_void_invoice_took(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        subscription_id = state.subscriptions.create(customer, BUSINESS)["id"]
        clock.advance(days=27)  # of 30
        state.subscriptions.change_prices(subscription_id, TEAM)
        state.subscriptions.pause(subscription_id)
        state.customers.set_card(customer, "declines")
        state.subscriptions.resume(subscription_id)
        assert (amounts(state, customer)[-1], state.customers.find(customer)["balance"]) == (
            (2900 - 700, "void"),
            -700,
        )


class TestPortal:
    def test_confirms_a_change(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, [*TEAM, "price_images_metered"])
        item = subscription["items"]["data"][0]
        update = {
            "subscription": subscription["id"],
            "items": [{"id": item["id"], "price": BUSINESS[0]}],
        }
        flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
        session = state.portal.open(customer, "http://back", flow)
        assert session["flow"]["subscription_update_confirm"]["items"][0]["price"] == BUSINESS[0]
        changed = state.portal.confirm(session["id"])
        assert [entry["price"]["id"] for entry in changed["items"]["data"]] == [
            *BUSINESS,
            "price_images_metered",
        ]
        with pytest.raises(FakeStripeError, match="nothing to confirm"):
            state.portal.open(customer, None, flow)

    def test_has_nothing_to_confirm_without_a_flow(self, state: FakeStripe, customer: str) -> None:
        for flow in (None, {"type": "payment_method_update"}):
            with pytest.raises(FakeStripeError, match="nothing to confirm"):
                state.portal.confirm(state.portal.open(customer, flow=flow)["id"])

    def test_knows_no_other_items_and_prices(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        item = subscription["items"]["data"][0]["id"]
        for wrong in (
            {"id": "si_other", "price": BUSINESS[0]},
            {"id": item, "price": "price_of_nothing"},
        ):
            update = {"subscription": subscription["id"], "items": [wrong]}
            flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
            with pytest.raises(FakeStripeError, match="No such"):
                state.portal.open(customer, None, flow)

    def test_shows_nobody_elses_subscription(self, state: FakeStripe, customer: str) -> None:
        other = state.subscriptions.create(state.customers.create("eve@example.com")["id"], TEAM)
        update = {
            "subscription": other["id"],
            "items": [{"id": other["items"]["data"][0]["id"], "price": BUSINESS[0]}],
        }
        flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
        with pytest.raises(FakeStripeError, match="No such subscription"):
            state.portal.open(customer, None, flow)


class TestCustomers:
    def test_deleting_one_ends_what_it_pays_for(self, state: FakeStripe, customer: str) -> None:
        subscription = state.subscriptions.create(customer, TEAM)
        session, portal = (
            state.checkout.open(customer, CheckoutOrder(BUSINESS)),
            state.portal.open(customer),
        )
        before = last_event(state)
        state.customers.delete(customer)
        assert state.customers.find(customer) == {
            "id": customer,
            "object": "customer",
            "deleted": True,
        }
        assert state.subscriptions.find(subscription["id"])["status"] == "canceled"
        assert types_since(state, before) == ["customer.subscription.deleted", "customer.deleted"]
        assert state.customers.all() == []
        attempts: tuple[Callable[[], object], ...] = (
            lambda: state.subscriptions.create(customer, TEAM),
            lambda: state.checkout.complete(session["id"]),
            lambda: state.checkout.open(customer, CheckoutOrder(TEAM)),
            lambda: state.portal.find(portal["id"]),
            lambda: state.portal.open(customer),
            lambda: state.customers.set_card(customer, "works"),
            lambda: state.customers.delete(customer),
        )
        for attempt in attempts:
            with pytest.raises(FakeStripeError, match="No such customer"):
                attempt()

    def test_metadata_is_merged(self, state: FakeStripe, customer: str) -> None:
        state.customers.update(customer, {"name": "Ada L.", "metadata": {"a": "1", "b": "2"}})
        changed = state.customers.update(customer, {"metadata": {"a": "", "c": "3"}})
        assert (changed["name"], changed["email"], changed["metadata"]) == (
            "Ada L.", "ada@example.com", {"b": "2", "c": "3"},
        )  # fmt: skip
        assert state.customers.find(customer) == changed

    def test_a_paid_charge_is_disputed_once(self, state: FakeStripe, customer: str) -> None:
        state.subscriptions.create(customer, TEAM)
        (charge,) = state.journal.all("charge", customer)
        assert state.invoices.dispute(charge["id"])["charge"] == charge["id"]
        assert state.journal.events()[-1]["type"] == "charge.dispute.created"
        with pytest.raises(FakeStripeError, match="only once"):
            state.invoices.dispute(charge["id"])

    def test_a_declined_charge_took_nothing_to_dispute(
        self, state: FakeStripe, customer: str
    ) -> None:
        state.subscriptions.create(customer, TEAM, card="declines")
        with pytest.raises(FakeStripeError, match="Only a paid charge"):
            state.invoices.dispute(state.journal.all("charge", customer)[0]["id"])


class TestMeter:
    def test_what_it_counted_is_on_the_next_invoice(
        self, state: FakeStripe, customer: str, clock: Clock
    ) -> None:
        """The second in which a period ends is the first of the next one."""
        subscription = state.subscriptions.create(customer, [*TEAM, "price_images_metered"])
        clock.advance(days=3)
        for number, images in enumerate((15_000, 4)):
            payload = {"stripe_customer_id": customer, "value": str(images)}
            state.meter.report("images", payload, identifier=f"entry-{number}")
        clock.advance(days=27)
        state.meter.report("images", {"stripe_customer_id": customer, "value": "1000"})
        state.subscriptions.end_period(subscription["id"])
        assert amounts(state, customer) == [(2900, "paid"), (2900 + 1500, "paid")]
        clock.advance(days=31)
        state.subscriptions.end_period(subscription["id"])
        assert amounts(state, customer)[-1] == (2900 + 100, "paid")

    def test_takes_nothing_twice(self, state: FakeStripe, customer: str) -> None:
        payload = {"stripe_customer_id": customer, "value": "1"}
        event = state.meter.report("images", payload, identifier="entry")
        with pytest.raises(FakeStripeError, match="An event already exists with identifier entry"):
            state.meter.report("images", payload, identifier="entry")
        assert state.meter.all() == [event]

    @pytest.mark.parametrize("value", ["-1", "1.5", "", "many"])
    def test_counts_whole_numbers(self, state: FakeStripe, customer: str, value: str) -> None:
        with pytest.raises(FakeStripeError, match="whole numbers"):
            state.meter.report("images", {"stripe_customer_id": customer, "value": value})

    @pytest.mark.parametrize("days", [-36, 1])
    def test_takes_recent_usage_only(self, state: FakeStripe, customer: str, days: int) -> None:
        moment = int((NOON + timedelta(days=days)).timestamp())
        with pytest.raises(FakeStripeError, match="timestamp"):
            state.meter.report(
                "images", {"stripe_customer_id": customer, "value": "1"}, timestamp=moment
            )


class TestKeeping:
    def test_survives_a_restart(self, tmp_path: Path, clock: Clock) -> None:
        path = tmp_path / "fake_stripe" / "state.sqlite3"
        state = FakeStripe(path, clock, delivers=True)
        subscription = state.subscriptions.create(
            state.customers.create("ada@example.com")["id"], TEAM
        )
        state.journal.delivered(state.journal.events()[0]["id"])
        events, undelivered = state.journal.events(), state.journal.undelivered()
        state.close()

        again = FakeStripe(path, clock, delivers=True)
        assert again.subscriptions.find(subscription["id"]) == subscription
        assert (again.journal.events(), again.journal.undelivered()) == (events, undelivered)
        assert len(undelivered) == len(events) - 1
        assert again.subscriptions.end_period(subscription["id"])["status"] == "active"
        again.close()

    def test_a_change_happens_whole_or_not_at_all(self, tmp_path: Path, clock: Clock) -> None:
        path = tmp_path / "state.sqlite3"
        state = FakeStripe(path, clock)
        subscription = state.subscriptions.create(
            state.customers.create("ada@example.com")["id"], TEAM
        )
        events = state.journal.events()
        with sqlite3.connect(
            path
        ) as disk:  # which is full when the renewal's last event is to be written
            disk.execute(
                "CREATE TRIGGER full AFTER INSERT ON documents WHEN NEW.body LIKE '%invoice.paid%' "
                "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        disk.close()
        with pytest.raises(sqlite3.IntegrityError, match="disk full"):
            state.subscriptions.end_period(subscription["id"])
        assert (state.subscriptions.find(subscription["id"]), state.journal.events()) == (
            subscription,
            events,
        )
        state.close()

    def test_threads_do_not_lose_each_others_changes(
        self, state: FakeStripe, customer: str
    ) -> None:
        subscription_id = state.subscriptions.create(customer, TEAM)["id"]
        with ThreadPoolExecutor(8) as threads:
            for number in range(40):
                threads.submit(
                    state.subscriptions.update_metadata, subscription_id, {str(number): "x"}
                )
        assert len(state.subscriptions.find(subscription_id)["metadata"]) == 40
