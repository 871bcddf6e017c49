"""The fake Stripe's pages: Checkout, the portal, and the list of customers. Plain forms without
scripts."""

from pathlib import Path
from typing import Any, cast

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from dev.stripe import formatting
from dev.stripe.actions import ACTIONS
from dev.stripe.calls import state
from dev.stripe.catalogue import Price
from dev.stripe.errors import FakeStripeError, missing, refused
from dev.stripe.objects import NUMBERS, Card
from dev.stripe.rendering import message, page, web_address
from dev.stripe.store import Document
from dev.stripe.subscriptions import known_prices
from dev.stripe.view_models import ON_SALE, SubscriptionView, confirmed_by, with_plan

blueprint = Blueprint("pages", __name__)
for one in (formatting.money, formatting.day, formatting.rate):
    blueprint.add_app_template_filter(one)

HERE = Path(__file__).resolve().parent
LIGHTWELL = HERE.parent.parent / "app" / "static" / "lightwell.svg"
ASSETS = {
    "fake_stripe.css": (HERE / "assets" / "fake_stripe.css", "text/css"),
    "lightwell.svg": (LIGHTWELL, "image/svg+xml"),
}


@blueprint.app_errorhandler(404)
def nothing_here(_error: Exception) -> Response:
    return message("There is nothing here", "The address is wrong, or what it led to is gone.", 404)


@blueprint.errorhandler(FakeStripeError)
def refuse(error: FakeStripeError) -> Response:
    if error.status == 404:
        return nothing_here(error)
    return message("That cannot be done", error.message, error.status)


@blueprint.get("/assets/<name>")
def asset(name: str) -> Response:
    if name not in ASSETS:
        raise NotFound
    path, mimetype = ASSETS[name]
    return Response(path.read_bytes(), mimetype=mimetype)


@blueprint.get("/")
def home() -> Response:
    """List the customers, newest first."""
    customers = [(entry, _views(entry["id"])) for entry in reversed(state().customers.all())]
    return page("home", customers=customers, undelivered=len(state().journal.undelivered()))


@blueprint.post("/customers/<customer_id>/portal")
def open_portal(customer_id: str) -> BaseResponse:
    session = state().portal.open(
        customer_id, url_for("pages.home", _external=True), None, request.host_url
    )
    return redirect(url_for("pages.portal", session_id=session["id"]), 303)


@blueprint.get("/checkout/<session_id>")
def checkout(session_id: str) -> Response:
    """Show the purchase and a choice of cards: one that works, one that is declined."""
    session = state().checkout.find(session_id)
    if session["status"] == "complete":
        return message(
            "This is paid already", "The subscription has begun.", way_on=_after_checkout(session)
        )
    if session["status"] == "expired":
        text = "This page was open for too long. Nothing was bought: ask for a new one."
        return message("This checkout has expired", text, way_on=web_address(session["cancel_url"]))
    return _checkout(session)


@blueprint.post("/checkout/<session_id>")
def pay(session_id: str) -> BaseResponse:
    session = state().checkout.find(session_id)
    if session["status"] != "open":
        return checkout(session_id)
    try:
        state().checkout.complete(session_id, _card())
    except FakeStripeError as error:
        if error.code != "card_declined":
            raise
        return _checkout(
            session, status=402, card="declines", alert="The card was declined. Nothing was bought."
        )
    return redirect(
        _after_checkout(session) or url_for("pages.checkout", session_id=session_id), 303
    )


@blueprint.get("/portal/<session_id>")
def portal(session_id: str) -> Response:
    """Show the customer's subscriptions, card and invoices, or only the change of plan if the
    session's flow is one."""
    session = state().portal.find(session_id)
    for subscription in state().journal.all("subscription", session["customer"]):
        if after := confirmed_by(session["flow"], subscription):
            target = url_for("pages.confirm", session_id=session_id)
            back = web_address(session["return_url"])
            return _review_change(session, subscription, after, target=target, back=back)
    return _portal(session)


@blueprint.post("/portal/<session_id>/confirm")
def confirm(session_id: str) -> BaseResponse:
    """Make the change that the session was opened for, and redirect to where its flow ends."""
    state().portal.confirm(session_id)
    session = state().portal.find(session_id)
    end = (session["flow"]["after_completion"]["redirect"] or session)["return_url"]
    return redirect(web_address(end) or _address(session, done="changed"), 303)


@blueprint.post("/portal/<session_id>/card")
def update_card(session_id: str) -> BaseResponse:
    session = state().portal.find(session_id)
    state().customers.set_card(session["customer"], _card())
    return _back_to(session, "card")


@blueprint.post("/portal/<session_id>/dispute")
def dispute(session_id: str) -> BaseResponse:
    session = state().portal.find(session_id)
    if charge := _disputable(session["customer"]):
        state().invoices.dispute(charge["id"])
    return _back_to(session, "disputed")


@blueprint.get("/portal/<session_id>/delete")
def review_deletion(session_id: str) -> Response:
    session = state().portal.find(session_id)
    effect = "All subscriptions end at once, and nothing can be bought for this customer any more."
    return page(
        "sure",
        heading="Delete the customer?",
        effect=effect,
        label="Delete customer",
        back=_address(session),
    )


@blueprint.post("/portal/<session_id>/delete")
def delete(session_id: str) -> BaseResponse:
    state().customers.delete(state().portal.find(session_id)["customer"])
    return redirect(url_for("pages.home", done="deleted"), 303)


@blueprint.get("/portal/<session_id>/<subscription_id>/change")
def review_change(session_id: str, subscription_id: str) -> BaseResponse:
    session = state().portal.find(session_id)
    subscription = _subscription(session, subscription_id)
    (plan,) = known_prices([request.args.get("price", "")])
    after = with_plan(subscription, plan)
    if after == formatting.prices_of(subscription):
        return _back_to(session, "same")
    target = url_for("pages.change", session_id=session_id, subscription_id=subscription_id)
    return _review_change(session, subscription, after, target=target, back=_address(session))


@blueprint.post("/portal/<session_id>/<subscription_id>/change")
def change(session_id: str, subscription_id: str) -> BaseResponse:
    session = state().portal.find(session_id)
    _subscription(session, subscription_id)
    state().subscriptions.change_prices(subscription_id, request.form.getlist("price"))
    return _back_to(session, "changed")


@blueprint.get("/portal/<session_id>/<subscription_id>/cancel")
def review_cancellation(session_id: str, subscription_id: str) -> Response:
    session = state().portal.find(session_id)
    subscription = _subscription(session, subscription_id)
    name = formatting.products(formatting.prices_of(subscription))
    end = formatting.day(formatting.period_end(subscription))
    return page(
        "sure",
        heading="Cancel the subscription?",
        effect=f"{name} lasts until {end} and is not renewed. Until then it can be kept.",
        label="Cancel subscription",
        back=_address(session),
    )


@blueprint.post("/portal/<session_id>/<subscription_id>/cancel")
def cancel(session_id: str, subscription_id: str) -> BaseResponse:
    session = state().portal.find(session_id)
    _subscription(session, subscription_id)
    state().subscriptions.cancel(subscription_id, at_period_end=True)
    return _back_to(session, "cancelled")


@blueprint.post("/portal/<session_id>/<subscription_id>/<name>")
def perform(session_id: str, subscription_id: str, name: str) -> BaseResponse:
    session = state().portal.find(session_id)
    _subscription(session, subscription_id)
    if name not in ACTIONS:
        raise NotFound
    after = ACTIONS[name].perform(state().subscriptions, subscription_id)
    return _back_to(session, "declined" if after["status"] in ACTIONS[name].declined else name)


def _after_checkout(session: Document) -> str | None:
    return web_address(
        (session["success_url"] or "").replace("{CHECKOUT_SESSION_ID}", session["id"])
    )


def _card() -> Card:
    card = request.form.get("card")
    if card not in NUMBERS:
        raise refused("Choose one of the two test cards.", "card")
    return cast(Card, card)


def _subscription(session: Document, subscription_id: str) -> Document:
    """Return a subscription of the session's customer. Raises FakeStripeError."""
    subscription = state().subscriptions.find(subscription_id)
    if subscription["customer"] != session["customer"]:
        raise missing("subscription", subscription_id)
    return subscription


def _views(customer_id: str) -> list[SubscriptionView]:
    return list(map(SubscriptionView.of, state().journal.all("subscription", customer_id)))


def _disputable(customer_id: str) -> Document | None:
    """Return the last paid charge, unless it is disputed already."""
    charges = [charge for charge in state().journal.all("charge", customer_id) if charge["paid"]]
    return charges[-1] if charges and not charges[-1]["disputed"] else None


def _address(session: Document, done: str | None = None) -> str:
    return url_for("pages.portal", session_id=session["id"], done=done)


def _back_to(session: Document, done: str) -> BaseResponse:
    return redirect(_address(session, done=done), 303)


def _checkout(
    session: Document, status: int = 200, card: Card = "works", **values: Any
) -> Response:
    order = state().checkout.order(session["id"])
    return page(
        "checkout",
        status,
        session=session,
        prices=known_prices(order.price_ids),
        trial_days=order.trial_days,
        card=card,
        back=web_address(session["cancel_url"]),
        **values,
    )


def _review_change(
    session: Document, subscription: Document, after: list[Price], target: str, back: str | None
) -> Response:
    before, effect = (
        formatting.prices_of(subscription),
        formatting.effect_of_change(subscription, after),
    )
    return page(
        "change",
        before=before,
        after=after,
        effect=effect,
        target=target,
        back=back or _address(session),
    )


def _portal(session: Document) -> Response:
    customer_id = session["customer"]
    card = state().customers.card_of(customer_id)
    return page(
        "portal",
        session=session,
        customer=state().customers.find(customer_id),
        subscriptions=list(reversed(_views(customer_id))),
        on_sale=ON_SALE,
        card=next(
            (name for name, digits in NUMBERS.items() if card and card["card"]["last4"] == digits),
            None,
        ),
        invoices=list(reversed(state().journal.all("invoice", customer_id))),
        invoice_statuses=formatting.INVOICE_STATUSES,
        disputable=_disputable(customer_id),
        keep=ACTIONS["keep"],
        back=web_address(session["return_url"]),
    )
