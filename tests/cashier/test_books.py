"""What becomes of customers and their subscriptions, as Stripe's documentation tells it."""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cashier.books import Books
from app.cashier.errors import CashierError
from app.cashier.sessions import Order
from app.cashier.store import Document

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
def books(clock: Clock) -> Books:
    return Books(clock=clock)


@pytest.fixture
def customer(books: Books) -> str:
    return str(books.create_customer("ada@example.com", "Ada")["id"])


def types_since(books: Books, event_id: str) -> list[str]:
    return [event["type"] for event in books.events(event_id)]


def last_event(books: Books) -> str:
    return str(books.events()[-1]["id"])


def amounts(books: Books, customer: str) -> list[tuple[int, str]]:
    return [(invoice["amount_due"], invoice["status"]) for invoice in books.invoices_of(customer)]


def day_of(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def paid_until(subscription: Document) -> list[str]:
    return [day_of(item["current_period_end"]) for item in subscription["items"]["data"]]


class TestCheckout:
    def test_makes_a_paid_subscription_and_tells_of_everything(
        self, books: Books, customer: str
    ) -> None:
        order = Order(TEAM, metadata={"org_id": "org_1"})
        session = books.open_checkout(
            customer, order, "http://here/", {"client_reference_id": "org_1"}
        )
        before = last_event(books)

        done = books.complete_checkout(session["id"])

        subscription = books.subscription(done["subscription"])
        assert (done["status"], done["payment_status"], done["client_reference_id"]) == (
            "complete",
            "paid",
            "org_1",
        )
        assert (subscription["status"], subscription["metadata"]) == ("active", {"org_id": "org_1"})
        assert paid_until(subscription) == ["2026-12-20"]
        assert amounts(books, customer) == [(2900, "paid")]
        assert types_since(books, before) == [
            "payment_method.attached", "customer.updated", "customer.subscription.created",
            "invoice.created",
            "invoice.finalized", "charge.succeeded", "invoice.paid", "invoice.payment_succeeded",
            "customer.subscription.updated", "checkout.session.completed",
        ]  # fmt: skip

    def test_an_update_says_what_was_before(self, books: Books, customer: str) -> None:
        books.subscribe(customer, TEAM)
        data = next(
            event["data"]
            for event in books.events()
            if event["type"] == "customer.subscription.updated"
        )
        assert data["previous_attributes"] == {"latest_invoice": None, "status": "incomplete"}
        assert data["object"]["status"] == "active"

    def test_a_declined_card_buys_nothing_and_may_be_followed_by_another(
        self, books: Books, customer: str
    ) -> None:
        session = books.open_checkout(customer, Order(TEAM))
        with pytest.raises(CashierError, match="declined") as refusal:
            books.complete_checkout(session["id"], "declines")
        assert (refusal.value.code, refusal.value.status) == ("card_declined", 402)
        assert books.events()[-1]["type"] == "charge.failed"
        assert (books.subscriptions_of(customer), books.checkout(session["id"])["status"]) == (
            [],
            "open",
        )
        assert books.complete_checkout(session["id"], "works")["status"] == "complete"

    def test_a_declined_card_begins_no_trial(self, books: Books, customer: str) -> None:
        session = books.open_checkout(customer, Order(TEAM, trial_days=14))
        with pytest.raises(CashierError, match="declined"):
            books.complete_checkout(session["id"], "declines")
        assert (books.subscriptions_of(customer), books.charges_of(customer)) == ([], [])

    def test_is_over_once_it_is_paid(self, books: Books, customer: str) -> None:
        session = books.open_checkout(customer, Order(TEAM))
        books.complete_checkout(session["id"])
        for change in (books.complete_checkout, books.expire_checkout):
            with pytest.raises(CashierError, match="complete"):
                change(session["id"])
        assert len(books.subscriptions_of(customer)) == 1

    def test_expires_after_a_day(self, books: Books, customer: str, clock: Clock) -> None:
        session = books.open_checkout(customer, Order(TEAM))
        clock.advance(hours=24)
        with pytest.raises(CashierError, match="expired"):
            books.complete_checkout(session["id"])
        assert (books.checkout(session["id"])["status"], books.subscriptions_of(customer)) == (
            "expired",
            [],
        )
        assert books.events()[-1]["type"] == "checkout.session.expired"

    def test_a_trial_costs_nothing_until_it_ends(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        session = books.open_checkout(customer, Order(TEAM, trial_days=14))
        subscription = books.subscription(books.complete_checkout(session["id"])["subscription"])
        assert (subscription["status"], paid_until(subscription)) == ("trialing", ["2026-12-04"])
        assert (amounts(books, customer), books.charges_of(customer)) == ([(0, "paid")], [])
        clock.advance(days=14)
        subscription = books.end_period(subscription["id"])
        assert (subscription["status"], paid_until(subscription)) == ("active", ["2027-01-04"])
        assert amounts(books, customer) == [(0, "paid"), (2900, "paid")]


class TestRenewal:
    def test_is_paid_period_by_period(self, books: Books, customer: str, clock: Clock) -> None:
        subscription = books.subscribe(customer, TEAM)
        clock.advance(days=31)
        assert paid_until(books.end_period(subscription["id"])) == ["2027-01-20"]
        assert amounts(books, customer) == [(2900, "paid"), (2900, "paid")]

    def test_begins_now_where_the_clock_did_not_move(self, books: Books, customer: str) -> None:
        subscription = books.end_period(books.subscribe(customer, TEAM)["id"])
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
        books = Books(clock=lambda: begun)
        subscription = books.subscribe(books.create_customer("a@example.com")["id"], [price])
        assert paid_until(subscription) == [until]

    def test_a_declined_one_is_past_due_until_a_retry_succeeds(
        self, books: Books, customer: str
    ) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        books.set_card(customer, "declines")
        before = last_event(books)
        assert books.end_period(subscription_id)["status"] == "past_due"
        assert "invoice.payment_failed" in types_since(books, before)
        assert books.retry_payment(subscription_id)["status"] == "past_due"
        books.set_card(customer, "declines")  # which is no reason to try
        assert books.invoices_of(customer)[-1]["attempt_count"] == 2
        books.set_card(customer, "works")
        assert books.subscription(subscription_id)["status"] == "active"
        assert amounts(books, customer) == [(2900, "paid"), (2900, "paid")]
        with pytest.raises(CashierError, match="no invoice to pay"):
            books.retry_payment(subscription_id)

    def test_a_declined_end_of_a_trial_is_past_due(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM, trial_days=7, card="declines")
        assert subscription["status"] == "trialing"
        ended = books.end_period(subscription["id"])
        assert (ended["status"], ended["trial_end"]) == ("past_due", NOON.timestamp())

    @pytest.mark.parametrize(("how", "event"), [("canceled", "deleted"), ("unpaid", "updated")])
    def test_may_be_given_up(self, books: Books, customer: str, how: str, event: str) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        with pytest.raises(CashierError, match="active"):
            books.give_up(subscription_id, how)  # type: ignore[arg-type]  # from the parameters
        books.set_card(customer, "declines")
        books.end_period(subscription_id)
        given_up = books.give_up(subscription_id, how)  # type: ignore[arg-type]
        assert given_up["status"] == how
        assert books.events()[-1]["type"] == f"customer.subscription.{event}"

    def test_an_unpaid_one_collects_drafts_until_all_is_paid(
        self, books: Books, customer: str
    ) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        books.set_card(customer, "declines")
        books.end_period(subscription_id)
        books.give_up(subscription_id, "unpaid")
        assert books.end_period(subscription_id)["status"] == "unpaid"
        assert amounts(books, customer) == [(2900, "paid"), (2900, "open"), (2900, "draft")]
        books.set_card(customer, "works")
        assert books.subscription(subscription_id)["status"] == "active"
        assert {status for _, status in amounts(books, customer)} == {"paid"}
        assert [invoice["number"][-4:] for invoice in books.invoices_of(customer)] == [
            "0001",
            "0002",
            "0003",
        ]


class TestFirstPayment:
    def test_declined_leaves_it_incomplete_until_a_card_works(
        self, books: Books, customer: str
    ) -> None:
        subscription = books.subscribe(customer, TEAM, card="declines")
        assert subscription["status"] == "incomplete"
        with pytest.raises(CashierError, match="incomplete"):
            books.end_period(subscription["id"])
        books.set_card(customer, "works")
        assert books.subscription(subscription["id"])["status"] == "active"

    def test_never_made_expires(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM, card="declines")
        expired = books.expire_incomplete(subscription["id"])
        assert expired["status"] == "incomplete_expired"
        assert amounts(books, customer) == [(2900, "void")]
        with pytest.raises(CashierError, match="incomplete_expired"):
            books.retry_payment(subscription["id"])


class TestCancelling:
    def test_at_the_periods_end_lasts_until_then(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription = books.subscribe(customer, TEAM)
        cancelled = books.cancel(subscription["id"], at_period_end=True)
        assert (cancelled["status"], day_of(cancelled["cancel_at"])) == ("active", "2026-12-20")
        clock.advance(days=30)
        ended = books.end_period(subscription["id"])
        assert (ended["status"], day_of(ended["ended_at"])) == ("canceled", "2026-12-20")
        assert day_of(ended["canceled_at"]) == "2026-11-20"
        assert books.events()[-1]["type"] == "customer.subscription.deleted"
        assert amounts(books, customer) == [(2900, "paid")]

    def test_may_be_taken_back(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM)
        books.cancel(subscription["id"], at_period_end=True)
        kept = books.keep(subscription["id"])
        assert (kept["cancel_at_period_end"], kept["cancel_at"], kept["canceled_at"]) == (
            False,
            None,
            None,
        )
        assert books.end_period(subscription["id"])["status"] == "active"

    def test_at_once_is_final(self, books: Books, customer: str) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        assert books.cancel(subscription_id)["status"] == "canceled"
        for change in (
            books.cancel,
            books.keep,
            books.pause,
            books.end_period,
            books.retry_payment,
        ):
            with pytest.raises(CashierError, match="canceled"):
                change(subscription_id)

    def test_one_that_was_never_paid_voids_its_invoice(self, books: Books, customer: str) -> None:
        books.cancel(books.subscribe(customer, TEAM, card="declines")["id"])
        assert amounts(books, customer) == [(2900, "void")]


class TestChangingPrices:
    def test_an_upgrade_is_charged_for_the_time_that_is_left(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription = books.subscribe(customer, TEAM)
        clock.advance(days=15)  # of 30
        changed = books.change_prices(subscription["id"], BUSINESS)
        (item,) = changed["items"]["data"]
        assert (item["price"]["id"], item["id"]) == (
            BUSINESS[0],
            subscription["items"]["data"][0]["id"],
        )
        assert paid_until(changed) == ["2026-12-20"]
        assert amounts(books, customer) == [(2900, "paid"), (9900 // 2 - 2900 // 2, "paid")]

    def test_a_downgrade_leaves_credit_for_the_next_invoices(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription = books.subscribe(customer, BUSINESS)
        clock.advance(days=15)
        books.change_prices(subscription["id"], TEAM)
        assert (amounts(books, customer)[-1], books.customer(customer)["balance"]) == (
            (0, "paid"),
            -3500,
        )
        books.end_period(subscription["id"])
        books.end_period(subscription["id"])
        assert amounts(books, customer)[-2:] == [(0, "paid"), (2300, "paid")]
        assert sum(charge["amount"] for charge in books.charges_of(customer)) == 9900 + 2300

    def test_another_interval_begins_a_new_period(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription = books.subscribe(customer, TEAM)
        clock.advance(days=15)
        changed = books.change_prices(subscription["id"], ["price_team_year"])
        assert paid_until(changed) == ["2027-12-05"]
        assert amounts(books, customer)[-1] == (29000 - 1450, "paid")

    def test_another_interval_begins_anew_for_what_stays_too(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription = books.subscribe(customer, [*TEAM, *BUSINESS])
        clock.advance(days=15)
        changed = books.change_prices(subscription["id"], [*TEAM, "price_business_year"])
        assert paid_until(changed) == ["2027-01-05", "2027-12-05"]
        assert amounts(books, customer)[-1] == (2900 + 99000 - (2900 + 9900) // 2, "paid")

    def test_a_trial_goes_on(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM, trial_days=7)
        changed = books.change_prices(subscription["id"], ["price_business_year"])
        assert (changed["status"], paid_until(changed)) == ("trialing", ["2026-11-27"])
        assert amounts(books, customer) == [(0, "paid")]

    def test_an_upgrade_that_nobody_pays_is_past_due(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM)
        books.set_card(customer, "declines")
        changed = books.change_prices(subscription["id"], BUSINESS)
        assert (changed["status"], changed["items"]["data"][0]["price"]["id"]) == (
            "past_due",
            BUSINESS[0],
        )

    def test_a_downgrade_does_not_pay_what_is_open(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, BUSINESS)
        books.set_card(customer, "declines")
        books.end_period(subscription["id"])
        assert books.change_prices(subscription["id"], TEAM)["status"] == "past_due"

    def test_to_what_they_are_changes_nothing(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM)
        before = last_event(books)
        assert books.change_prices(subscription["id"], TEAM) == subscription
        assert types_since(books, before) == []

    @pytest.mark.parametrize("prices", [[], ["price_of_nothing"], [*TEAM, *TEAM]])
    def test_to_what_is_not_sold_is_refused(
        self, books: Books, customer: str, prices: Sequence[str]
    ) -> None:
        subscription = books.subscribe(customer, TEAM)
        with pytest.raises(CashierError):
            books.change_prices(subscription["id"], prices)
        assert books.subscription(subscription["id"]) == subscription


class TestPausing:
    def test_stops_and_goes_on(self, books: Books, customer: str, clock: Clock) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        assert books.pause(subscription_id)["status"] == "paused"
        with pytest.raises(CashierError, match="paused"):
            books.end_period(subscription_id)
        before = last_event(books)
        clock.advance(days=40)
        resumed = books.resume(subscription_id)
        assert (resumed["status"], resumed["billing_cycle_anchor"]) == (
            "active",
            clock().timestamp(),
        )
        assert "customer.subscription.resumed" in types_since(books, before)

    def test_is_not_over_while_the_card_declines(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        paused = books.pause(books.subscribe(customer, TEAM)["id"])
        books.set_card(customer, "declines")
        clock.advance(days=40)
        tried = books.resume(paused["id"])
        assert (tried["status"], paid_until(tried)) == ("paused", paid_until(paused))
        assert amounts(books, customer) == [(2900, "paid"), (2900, "void")]

    def test_gives_back_the_credit_that_a_void_invoice_took(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        subscription_id = books.subscribe(customer, BUSINESS)["id"]
        clock.advance(days=27)  # of 30
        books.change_prices(subscription_id, TEAM)
        books.pause(subscription_id)
        books.set_card(customer, "declines")
        books.resume(subscription_id)
        assert (amounts(books, customer)[-1], books.customer(customer)["balance"]) == (
            (2900 - 700, "void"),
            -700,
        )


class TestPortal:
    def test_confirms_a_change(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, [*TEAM, "price_images_metered"])
        item = subscription["items"]["data"][0]
        update = {
            "subscription": subscription["id"],
            "items": [{"id": item["id"], "price": BUSINESS[0]}],
        }
        flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
        session = books.portal(customer, "http://back", flow)
        assert session["flow"]["subscription_update_confirm"]["items"][0]["price"] == BUSINESS[0]
        changed = books.confirm_flow(session["id"])
        assert [entry["price"]["id"] for entry in changed["items"]["data"]] == [
            *BUSINESS,
            "price_images_metered",
        ]
        with pytest.raises(CashierError, match="nothing to confirm"):
            books.portal(customer, None, flow)

    def test_has_nothing_to_confirm_without_a_flow(self, books: Books, customer: str) -> None:
        for flow in (None, {"type": "payment_method_update"}):
            with pytest.raises(CashierError, match="nothing to confirm"):
                books.confirm_flow(books.portal(customer, flow=flow)["id"])

    def test_knows_no_other_items_and_prices(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM)
        item = subscription["items"]["data"][0]["id"]
        for wrong in (
            {"id": "si_other", "price": BUSINESS[0]},
            {"id": item, "price": "price_of_nothing"},
        ):
            update = {"subscription": subscription["id"], "items": [wrong]}
            flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
            with pytest.raises(CashierError, match="No such"):
                books.portal(customer, None, flow)

    def test_shows_nobody_elses_subscription(self, books: Books, customer: str) -> None:
        other = books.subscribe(books.create_customer("eve@example.com")["id"], TEAM)
        update = {
            "subscription": other["id"],
            "items": [{"id": other["items"]["data"][0]["id"], "price": BUSINESS[0]}],
        }
        flow = {"type": "subscription_update_confirm", "subscription_update_confirm": update}
        with pytest.raises(CashierError, match="No such subscription"):
            books.portal(customer, None, flow)


class TestCustomers:
    def test_deleting_one_ends_what_it_pays_for(self, books: Books, customer: str) -> None:
        subscription = books.subscribe(customer, TEAM)
        session, portal = books.open_checkout(customer, Order(BUSINESS)), books.portal(customer)
        before = last_event(books)
        books.delete_customer(customer)
        assert books.customer(customer) == {"id": customer, "object": "customer", "deleted": True}
        assert books.subscription(subscription["id"])["status"] == "canceled"
        assert types_since(books, before) == ["customer.subscription.deleted", "customer.deleted"]
        assert books.customers() == []
        attempts: list[Callable[[], object]] = [
            lambda: books.subscribe(customer, TEAM),
            lambda: books.complete_checkout(session["id"]),
            lambda: books.open_checkout(customer, Order(TEAM)),
            lambda: books.portal_session(portal["id"]),
            lambda: books.portal(customer),
            lambda: books.set_card(customer, "works"),
            lambda: books.delete_customer(customer),
        ]
        for attempt in attempts:
            with pytest.raises(CashierError, match="No such customer"):
                attempt()

    def test_metadata_is_merged(self, books: Books, customer: str) -> None:
        books.update_customer(customer, {"name": "Ada L.", "metadata": {"a": "1", "b": "2"}})
        changed = books.update_customer(customer, {"metadata": {"a": "", "c": "3"}})
        assert (changed["name"], changed["email"], changed["metadata"]) == (
            "Ada L.", "ada@example.com", {"b": "2", "c": "3"},
        )  # fmt: skip
        assert books.customer(customer) == changed

    def test_a_paid_charge_is_disputed_once(self, books: Books, customer: str) -> None:
        books.subscribe(customer, TEAM)
        (charge,) = books.charges_of(customer)
        assert books.dispute(charge["id"])["charge"] == charge["id"]
        assert books.events()[-1]["type"] == "charge.dispute.created"
        with pytest.raises(CashierError, match="only once"):
            books.dispute(charge["id"])

    def test_a_declined_charge_took_nothing_to_dispute(self, books: Books, customer: str) -> None:
        books.subscribe(customer, TEAM, card="declines")
        with pytest.raises(CashierError, match="Only a paid charge"):
            books.dispute(books.charges_of(customer)[0]["id"])


class TestMeter:
    def test_what_it_counted_is_on_the_next_invoice(
        self, books: Books, customer: str, clock: Clock
    ) -> None:
        """The second in which a period ends is the first of the next one."""
        subscription = books.subscribe(customer, [*TEAM, "price_images_metered"])
        clock.advance(days=3)
        for number, images in enumerate((15_000, 4)):
            payload = {"stripe_customer_id": customer, "value": str(images)}
            books.report_usage("images", payload, identifier=f"entry-{number}")
        clock.advance(days=27)
        books.report_usage("images", {"stripe_customer_id": customer, "value": "1000"})
        books.end_period(subscription["id"])
        assert amounts(books, customer) == [(2900, "paid"), (2900 + 1500, "paid")]
        clock.advance(days=31)
        books.end_period(subscription["id"])
        assert amounts(books, customer)[-1] == (2900 + 100, "paid")

    def test_takes_nothing_twice(self, books: Books, customer: str) -> None:
        payload = {"stripe_customer_id": customer, "value": "1"}
        event = books.report_usage("images", payload, identifier="entry")
        with pytest.raises(CashierError, match="An event already exists with identifier entry"):
            books.report_usage("images", payload, identifier="entry")
        assert books.meter_events() == [event]

    @pytest.mark.parametrize("value", ["-1", "1.5", "", "many"])
    def test_counts_whole_numbers(self, books: Books, customer: str, value: str) -> None:
        with pytest.raises(CashierError, match="whole numbers"):
            books.report_usage("images", {"stripe_customer_id": customer, "value": value})

    @pytest.mark.parametrize("days", [-36, 1])
    def test_takes_recent_usage_only(self, books: Books, customer: str, days: int) -> None:
        moment = int((NOON + timedelta(days=days)).timestamp())
        with pytest.raises(CashierError, match="timestamp"):
            books.report_usage(
                "images", {"stripe_customer_id": customer, "value": "1"}, timestamp=moment
            )


class TestKeeping:
    def test_survives_a_restart(self, tmp_path: Path, clock: Clock) -> None:
        path = tmp_path / "cashier" / "books.sqlite3"
        books = Books(path, clock, delivers=True)
        subscription = books.subscribe(books.create_customer("ada@example.com")["id"], TEAM)
        books.delivered(books.events()[0]["id"])
        events, undelivered = books.events(), books.undelivered()
        books.close()

        again = Books(path, clock, delivers=True)
        assert again.subscription(subscription["id"]) == subscription
        assert (again.events(), again.undelivered()) == (events, undelivered)
        assert len(undelivered) == len(events) - 1
        assert again.end_period(subscription["id"])["status"] == "active"
        again.close()

    def test_a_change_happens_whole_or_not_at_all(self, tmp_path: Path, clock: Clock) -> None:
        path = tmp_path / "books.sqlite3"
        books = Books(path, clock)
        subscription = books.subscribe(books.create_customer("ada@example.com")["id"], TEAM)
        events = books.events()
        with sqlite3.connect(
            path
        ) as disk:  # which is full when the renewal's last event is to be written
            disk.execute(
                "CREATE TRIGGER full AFTER INSERT ON documents WHEN NEW.body LIKE '%invoice.paid%' "
                "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        disk.close()
        with pytest.raises(sqlite3.IntegrityError, match="disk full"):
            books.end_period(subscription["id"])
        assert (books.subscription(subscription["id"]), books.events()) == (subscription, events)
        books.close()

    def test_threads_do_not_lose_each_others_changes(self, books: Books, customer: str) -> None:
        subscription_id = books.subscribe(customer, TEAM)["id"]
        with ThreadPoolExecutor(8) as threads:
            for number in range(40):
                threads.submit(books.update_metadata, subscription_id, {str(number): "x"})
        assert len(books.subscription(subscription_id)["metadata"]) == 40
