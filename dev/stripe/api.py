"""``/v1/…``: the calls of Stripe's API that Lightwell makes, and those that show their results."""

from collections.abc import Sequence
from typing import Any

from flask import request

from dev.stripe.calls import StripeBlueprint, page, state
from dev.stripe.catalogue import PRICES
from dev.stripe.errors import missing, refused
from dev.stripe.forms import BadParameter, Form
from dev.stripe.objects import price_json
from dev.stripe.sessions import CheckoutOrder
from dev.stripe.store import Document
from dev.stripe.subscriptions import ENDED, known_prices

blueprint = StripeBlueprint("stripe", __name__, "/v1")
blueprint.retrieve("customer", "/customers")
blueprint.retrieve("subscription", "/subscriptions")
blueprint.retrieve("charge", "/charges")
blueprint.retrieve("event", "/events")


@blueprint.call("GET", "/prices/<price_id>")
def retrieve_price(form: Form, price_id: str) -> Document:
    form.close()
    if price_id not in PRICES:
        raise missing("price", price_id)
    return price_json(PRICES[price_id])


@blueprint.call("POST", "/customers")
def create_customer(form: Form) -> Document:
    email, name, metadata = form.text("email"), form.text("name"), form.texts("metadata")
    form.close()
    return state().customers.create(email, name, metadata)


@blueprint.call("POST", "/customers/<customer_id>")
def update_customer(form: Form, customer_id: str) -> Document:
    changes: dict[str, Any] = {name: form.text(name) for name in ("email", "name")}
    changes = {name: value for name, value in changes.items() if value is not None}
    metadata = form.texts("metadata")
    form.close()
    return state().customers.update(customer_id, changes | {"metadata": metadata})


@blueprint.call("DELETE", "/customers/<customer_id>")
def delete_customer(form: Form, customer_id: str) -> Document:
    form.close()
    return state().customers.delete(customer_id)


@blueprint.call("GET", "/subscriptions")
def list_subscriptions(form: Form) -> Document:
    """Without a status, list those that are not canceled. ``ended`` and ``all`` are also statuses
    of Stripe's API."""
    customer_id, status, price = form.text("customer"), form.text("status"), form.text("price")
    found = _of("subscription", customer_id)
    if status is None:
        found = [entry for entry in found if entry["status"] != "canceled"]
    elif status == "ended":
        found = [entry for entry in found if entry["status"] in ENDED]
    elif status != "all":
        found = [entry for entry in found if entry["status"] == status]
    if price is not None:
        found = [entry for entry in found if price in _prices(entry).values()]
    return page(form, found)


@blueprint.call("POST", "/subscriptions/<subscription_id>")
def update_subscription(form: Form, subscription_id: str) -> Document:
    """All changes of a call succeed or none. Items that are not named stay."""
    later, metadata, changes = (
        form.flag("cancel_at_period_end"),
        form.texts("metadata"),
        form.parts("items"),
    )
    with state().journal.store.transaction():
        price_ids = _changed_prices(_prices(state().subscriptions.find(subscription_id)), changes)
        form.close()
        if changes:
            state().subscriptions.change_prices(subscription_id, price_ids)
        if metadata:
            state().subscriptions.update_metadata(subscription_id, metadata)
        if later is True:
            state().subscriptions.cancel(subscription_id, at_period_end=True)
        elif later is False:
            state().subscriptions.keep(subscription_id)
        return state().subscriptions.find(subscription_id)


@blueprint.call("DELETE", "/subscriptions/<subscription_id>")
def cancel_subscription(form: Form, subscription_id: str) -> Document:
    form.close()
    if state().subscriptions.find(subscription_id)["status"] in ENDED:
        raise missing("subscription", subscription_id)
    return state().subscriptions.cancel(subscription_id)


@blueprint.call("GET", "/invoices")
def list_invoices(form: Form) -> Document:
    customer_id, subscription_id, status = (
        form.text("customer"),
        form.text("subscription"),
        form.text("status"),
    )
    found = _of("invoice", customer_id)
    if subscription_id is not None:
        found = [
            e
            for e in found
            if e["parent"]["subscription_details"]["subscription"] == subscription_id
        ]
    return page(form, [_linked(entry) for entry in found if status in (None, entry["status"])])


@blueprint.call("GET", "/invoices/<invoice_id>")
def retrieve_invoice(form: Form, invoice_id: str) -> Document:
    form.close()
    return _linked(state().journal.find("invoice", invoice_id))


@blueprint.call("GET", "/events")
def list_events(form: Form) -> Document:
    event_type = form.text("type")
    return page(
        form, [event for event in state().journal.events() if event_type in (None, event["type"])]
    )


@blueprint.call("POST", "/checkout/sessions")
def create_checkout_session(form: Form) -> Document:
    if (mode := form.needed("mode")) != "subscription":
        raise refused(f"The fake Stripe sells subscriptions only, not in mode '{mode}'.", "mode")
    customer_id = form.needed("customer")
    price_ids = [_sold(line) for line in form.parts("line_items")]
    chosen = {
        "success_url": form.needed_url("success_url"),
        "cancel_url": form.url("cancel_url"),
        "client_reference_id": form.text("client_reference_id"),
        "metadata": form.texts("metadata"),
    }
    data = form.part("subscription_data")
    order = CheckoutOrder(price_ids, data.number("trial_period_days") or 0, data.texts("metadata"))
    form.close()
    if not 0 <= order.trial_days <= 730:
        raise BadParameter(
            "parameter_invalid_integer", "A trial has 1 to 730 days.", "subscription_data"
        )
    return state().checkout.open(customer_id, order, request.host_url, chosen)


@blueprint.call("GET", "/checkout/sessions")
def list_checkout_sessions(form: Form) -> Document:
    customer_id, status = form.text("customer"), form.text("status")
    found = [state().checkout.find(entry["id"]) for entry in _of("checkout.session", customer_id)]
    return page(form, [entry for entry in found if status in (None, entry["status"])])


@blueprint.call("GET", "/checkout/sessions/<session_id>")
def retrieve_checkout_session(form: Form, session_id: str) -> Document:
    form.close()
    return state().checkout.find(session_id)


@blueprint.call("POST", "/checkout/sessions/<session_id>/expire")
def expire_checkout_session(form: Form, session_id: str) -> Document:
    form.close()
    return state().checkout.expire(session_id)


@blueprint.call("POST", "/billing_portal/sessions")
def create_portal_session(form: Form) -> Document:
    customer_id, return_url, data = (
        form.needed("customer"),
        form.url("return_url"),
        form.part("flow_data"),
    )
    flow = _flow(data) if data else None
    form.close()
    return state().portal.open(customer_id, return_url, flow, request.host_url)


@blueprint.call("POST", "/billing/meter_events")
def create_meter_event(form: Form) -> Document:
    name, payload = form.needed("event_name"), form.texts("payload")
    identifier, timestamp = form.text("identifier"), form.number("timestamp")
    form.close()
    return state().meter.report(name, payload, identifier, timestamp)


def _of(kind: str, customer_id: str | None) -> list[Document]:
    if customer_id is not None:
        state().journal.find("customer", customer_id, "customer")
    return state().journal.all(kind, customer_id)


def _linked(invoice: Document) -> Document:
    """Return the invoice with the addresses of its page and its file, which a draft has not."""
    if invoice["status"] == "draft":
        return invoice
    url = f"{request.host_url}invoices/{invoice['id']}"
    return invoice | {"hosted_invoice_url": url, "invoice_pdf": f"{url}/pdf"}


def _prices(subscription: Document) -> dict[str, str]:
    return {item["id"]: item["price"]["id"] for item in subscription["items"]["data"]}


def _changed_prices(prices: dict[str, str], changes: Sequence[Form]) -> list[str]:
    """Return ``prices``, which are by item, after ``changes``."""
    for number, change in enumerate(changes):
        item_id, price_id = change.text("id"), change.text("price")
        deleted = change.flag("deleted")
        _one(change, f"items[{number}][quantity]")
        if item_id is not None and item_id not in prices:
            raise missing("subscription_item", item_id, f"items[{number}][id]")
        if deleted:
            prices.pop(item_id or "", None)
        elif price_id is not None:
            prices[item_id or price_id] = price_id
    return list(prices.values())


def _sold(line: Form) -> str:
    """Return the price of a line. The quantity is one; metered prices have none."""
    price_id, quantity = line.needed("price"), line.number("quantity")
    (price,) = known_prices([price_id])
    if price.metered and quantity is not None:
        raise refused("Quantity should not be specified where usage_type is metered.", "line_items")
    if not price.metered and quantity != 1:
        raise refused("Quantity is required, and the fake Stripe sells one of each.", "line_items")
    return price_id


def _one(item: Form, param: str) -> int | None:
    """Return an item's quantity, if given."""
    quantity = item.number("quantity")
    if quantity not in (None, 1):
        raise refused("The fake Stripe sells one of each.", param)
    return quantity


def _flow(data: Form) -> Document:
    flow: Document = {"type": data.needed("type")}
    if after := data.part("after_completion"):
        flow["after_completion"] = {"type": after.needed("type")}
        if redirect := after.part("redirect"):
            flow["after_completion"]["redirect"] = {"return_url": redirect.needed_url("return_url")}
    if update := data.part("subscription_update_confirm"):
        items = [
            {
                "id": item.needed("id"),
                "price": item.needed("price"),
                "quantity": _one(item, "flow_data"),
            }
            for item in update.parts("items")
        ]
        flow["subscription_update_confirm"] = {
            "subscription": update.needed("subscription"),
            "items": items,
        }
    return flow
