"""Whatever happens, in whatever order: the state is one that Stripe could have, and the events
tell all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from dev.stripe.errors import FakeStripeError
from dev.stripe.objects import Card
from dev.stripe.sessions import CheckoutOrder
from dev.stripe.state import FakeStripe
from dev.stripe.store import Document

NEXT = {
    "incomplete": {"incomplete", "active", "incomplete_expired", "canceled"},
    "trialing": {"trialing", "active", "past_due", "paused", "canceled"},
    "active": {"active", "past_due", "paused", "canceled"},
    "past_due": {"past_due", "active", "unpaid", "canceled"},
    "unpaid": {"unpaid", "active", "canceled"},
    "paused": {"paused", "active", "canceled"},
    "canceled": {"canceled"},
    "incomplete_expired": {"incomplete_expired"},
}
"""https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses"""

PRICES = ["price_team_month", "price_business_month", "price_team_year", "price_business_year"]


@dataclass(frozen=True)
class Step:
    """``days`` after the last one something happens to the customer, or to the subscription with a
    number."""

    days: int
    what: str
    number: int
    price: str
    card: Card

    def happen(self, state: FakeStripe, customer: str) -> None:
        subscriptions = state.journal.all("subscription", customer)
        if self.what == "create" or not subscriptions:
            trial_days = self.number % 2 * 7
            state.subscriptions.create(
                customer, [self.price], trial_days=trial_days, card=self.card
            )
        elif self.what == "buy":
            state.checkout.complete(
                state.checkout.open(customer, CheckoutOrder([self.price]))["id"], self.card
            )
        elif self.what == "set_card":
            state.customers.set_card(customer, self.card)
        elif self.what == "change_prices":
            state.subscriptions.change_prices(self._chosen(subscriptions), [self.price])
        elif self.what == "cancel":
            state.subscriptions.cancel(
                self._chosen(subscriptions), at_period_end=self.number % 2 == 0
            )
        elif self.what == "give_up":
            state.subscriptions.give_up(
                self._chosen(subscriptions), "unpaid" if self.number % 2 else "canceled"
            )
        else:
            getattr(state.subscriptions, self.what)(self._chosen(subscriptions))

    def _chosen(self, subscriptions: Sequence[Document]) -> str:
        return str(subscriptions[self.number % len(subscriptions)]["id"])


WHAT = [
    "end_period", "end_period", "set_card", "set_card", "change_prices", "give_up", "retry_payment",
    "cancel", "keep",
    "pause", "resume", "create", "buy", "expire",
]  # fmt: skip
"""Methods of subscriptions and ``set_card``, the usual ones twice; to buy is to go through
Checkout."""

STEPS = st.builds(
    Step,
    days=st.sampled_from([0, 1, 20, 31]),
    what=st.sampled_from(WHAT),
    number=st.integers(0, 5),
    price=st.sampled_from(PRICES),
    card=st.sampled_from(["works", "declines"]),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_any_story_is_one_that_stripe_could_tell(steps: list[Step]) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    state = FakeStripe(clock=lambda: now)
    customer = state.customers.create("ada@example.com")["id"]
    for step in steps:
        now += timedelta(days=step.days)
        told, refusal = len(state.journal.events()), None
        try:
            step.happen(state, customer)
        except FakeStripeError as error:
            refusal = error.code or "refused"
        assert refusal in (None, "card_declined") or len(state.journal.events()) == told, (
            "a refusal changed something"
        )
    for subscription in state.journal.all("subscription", customer):
        check(state, subscription)
    check_money(state, customer)
    check_events(state, customer)


def check(state: FakeStripe, subscription: Document) -> None:
    invoices = [
        invoice
        for invoice in state.journal.all("invoice", subscription["customer"])
        if invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
    ]
    owed, status = (
        {invoice["status"] for invoice in invoices} & {"open", "draft"},
        subscription["status"],
    )
    assert (subscription["ended_at"] is not None) == (status in ("canceled", "incomplete_expired"))
    assert (subscription["cancel_at"] is not None) == subscription["cancel_at_period_end"]
    assert subscription["latest_invoice"] == invoices[-1]["id"]
    if status in ("incomplete", "past_due", "unpaid"):
        assert owed, f"{status}, and nothing to pay"
    if status in ("active", "trialing"):
        assert invoices[-1]["status"] in ("paid", "void")
    for item in subscription["items"]["data"]:
        assert item["current_period_start"] < item["current_period_end"]


def check_money(state: FakeStripe, customer: str) -> None:
    invoices, charges = (
        state.journal.all("invoice", customer),
        state.journal.all("charge", customer),
    )
    for invoice in invoices:
        assert invoice["total"] == sum(line["amount"] for line in invoice["lines"]["data"])
        assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"] >= 0
        assert (invoice["status"] == "paid") == (invoice["amount_remaining"] == 0)
    numbers = [invoice["number"] for invoice in invoices if invoice["number"]]
    assert len(numbers) == len(set(numbers))
    assert sum(charge["amount_captured"] for charge in charges) == sum(
        invoice["amount_paid"] for invoice in invoices
    )
    used = sum(
        invoice["amount_due"] - invoice["total"]
        for invoice in invoices
        if invoice["status"] != "void"
    )
    assert state.customers.find(customer)["balance"] == -used, "credit appeared or got lost"


def check_events(state: FakeStripe, customer: str) -> None:
    """Who follows the events knows every subscription and invoice as it is, and saw no step that
    Stripe never takes."""
    known: dict[str, Document] = {}
    for event in state.journal.events():
        about = event["data"]["object"]
        if about["object"] == "subscription":
            before = known.get(about["id"], about)
            assert about["status"] in NEXT[before["status"]]
            assert event["data"].get("previous_attributes", {}).items() <= before.items()
        known[about["id"]] = about
    for thing in [
        *state.journal.all("subscription", customer),
        *state.journal.all("invoice", customer),
    ]:
        assert known[thing["id"]] == thing
