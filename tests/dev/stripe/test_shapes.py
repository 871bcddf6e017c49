"""The fake Stripe invents no field: the Stripe SDK declares all that it answers, and nothing
required lacks."""

import inspect
import re
from typing import Any

import pytest
import stripe

from dev.stripe.catalogue import PRICES
from dev.stripe.objects import API_VERSION, price_json
from dev.stripe.sessions import CheckoutOrder
from dev.stripe.state import FakeStripe
from dev.stripe.store import Document

CLASSES: dict[str, type[stripe.StripeObject]] = {
    "billing.meter_event": stripe.billing.MeterEvent,
    "billing_portal.session": stripe.billing_portal.Session,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "line_item": stripe.InvoiceLineItem,
    "list": stripe.ListObject,
    "payment_method": stripe.PaymentMethod,
    "plan": stripe.Plan,
    "price": stripe.Price,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
}
FREE = ("metadata", "payload", "previous_attributes")
"""What has keys of its own in every account."""


def declared(kind: type[Any]) -> dict[str, str]:
    return {
        name: str(hint) for name, hint in kind.__annotations__.items() if not name.startswith("_")
    }


def nested(kind: type[Any], hint: str) -> type[Any] | None:
    """The class of a field, where it is an inner class such as
    ``Invoice.Parent.SubscriptionDetails``."""
    for name in re.findall(r"\w+", hint):
        inner = getattr(kind, name, None)
        if inspect.isclass(inner) and issubclass(inner, stripe.StripeObject) and inner is not kind:
            return inner
    return None


def problems(value: Any, kind: type[Any] | None, where: str) -> list[str]:
    if isinstance(value, list):
        return [problem for entry in value for problem in problems(entry, kind, f"{where}[]")]
    if not isinstance(value, dict):
        return []
    kind = CLASSES.get(str(value.get("object")), kind)
    if kind is None:
        return [f"{where} has a shape that nothing declares"] if value else []
    fields = declared(kind)
    found = [
        f"{where}.{name} is not Stripe's"
        for name in value
        if name not in fields and name != "object"
    ]
    required = [
        name for name, hint in fields.items() if "Optional" not in hint and "NoneType" not in hint
    ]
    found += [
        f"{where}.{name} is missing"
        for name in required
        if name not in value and name != "OBJECT_NAME"
    ]
    for name in value.keys() & fields.keys():
        if name not in FREE:
            found += problems(value[name], nested(kind, fields[name]), f"{where}.{name}")
    return found


@pytest.fixture(scope="module")
def things() -> list[Document]:
    """One of everything, in more than one state."""
    state = FakeStripe()
    customer = state.customers.create("ada@example.com", "Ada", {"org_id": "org_1"})["id"]
    state.checkout.open(
        customer, CheckoutOrder(["price_team_year"]), chosen={"success_url": "http://here"}
    )
    session = state.checkout.open(
        customer, CheckoutOrder(["price_team_month", "price_images_metered"], trial_days=7)
    )
    subscription = state.subscriptions.find(state.checkout.complete(session["id"])["subscription"])
    item = subscription["items"]["data"][0]["id"]
    update = {
        "subscription": subscription["id"],
        "items": [{"id": item, "price": "price_business_month"}],
    }
    redirect = {"type": "redirect", "redirect": {"return_url": "http://here"}}
    flow = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": update,
        "after_completion": redirect,
    }
    portals = [state.portal.open(customer), state.portal.open(customer, "http://here", flow)]
    state.subscriptions.end_period(subscription["id"])
    state.subscriptions.change_prices(subscription["id"], ["price_business_month"])
    state.customers.set_card(customer, "declines")
    state.subscriptions.end_period(subscription["id"])
    dispute = state.invoices.dispute(state.journal.all("charge", customer)[0]["id"])
    usage = state.meter.report("images", {"stripe_customer_id": customer, "value": "3"})
    state.subscriptions.cancel(subscription["id"])
    kinds = (
        "customer",
        "subscription",
        "invoice",
        "charge",
        "payment_method",
        "checkout.session",
        "event",
    )
    stored = [document for kind in kinds for document in state.journal.all(kind)]
    return [*stored, *portals, dispute, usage, *map(price_json, PRICES.values())]


def test_no_field_is_invented_and_none_is_missing(things: list[Document]) -> None:
    assert {thing["object"] for thing in things} | {
        "list",
        "plan",
        "line_item",
        "subscription_item",
    } == CLASSES.keys()
    found = {problem for thing in things for problem in problems(thing, None, thing["object"])}
    assert not found, "\n".join(sorted(found))


def test_an_invented_field_would_be_found(things: list[Document]) -> None:
    subscription = next(thing for thing in things if thing["object"] == "subscription")
    item = subscription["items"]["data"][0]
    without = {name: value for name, value in item.items() if name != "current_period_end"}
    altered = subscription | {
        "current_period_end": 1,
        "items": {**subscription["items"], "data": [without]},
    }
    assert sorted(problems(altered, None, "it")) == [
        "it.current_period_end is not Stripe's",
        "it.items.data[].current_period_end is missing",
    ]


def test_nothing_is_of_the_live_mode(things: list[Document]) -> None:
    assert {thing["livemode"] for thing in things} == {False}


def test_the_version_is_that_of_the_sdk() -> None:
    assert stripe.api_version == API_VERSION
