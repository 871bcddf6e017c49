"""The sessions that send somebody to a page: Checkout's, which end in a subscription, and the
portal's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from app.cashier.errors import missing, refused
from app.cashier.invoices import Invoices
from app.cashier.ledger import Ledger, new_id
from app.cashier.objects import Card, payment_method_json
from app.cashier.session_objects import checkout_json, portal_json
from app.cashier.store import Document
from app.cashier.subscriptions import ENDED, Subscriptions, known_prices

LASTS = 24 * 60 * 60
ORDER = "order"


@dataclass(frozen=True)
class Order:
    """What a Checkout session will make when it is paid; Stripe's session does not tell."""

    price_ids: Sequence[str]
    trial_days: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class Cards:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def make(self, customer: Document, card: Card) -> Document:
        return payment_method_json(new_id("pm"), self._ledger.now(), customer, card)

    def attach(self, customer_id: str, card: Card) -> None:
        """Every later payment of the customer is tried with this card."""
        customer = self._ledger.customer(customer_id)
        method = self.make(customer, card)
        self._ledger.save(method, "payment_method.attached")
        customer["invoice_settings"]["default_payment_method"] = method["id"]
        self._ledger.save(customer, "customer.updated")


class Checkout:
    def __init__(
        self, ledger: Ledger, invoices: Invoices, subscriptions: Subscriptions, cards: Cards
    ) -> None:
        self._ledger = ledger
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._cards = cards

    def open(self, customer_id: str, order: Order, host_url: str, chosen: Document) -> Document:
        """``chosen`` are the session's fields that the caller decides. Raises CashierError."""
        prices, customer = known_prices(order.price_ids), self._ledger.customer(customer_id)
        now, session_id = self._ledger.now(), new_id("cs_test")
        url = f"{host_url}checkout/{session_id}"
        amount = 0 if order.trial_days else sum(price.amount for price in prices)
        session = checkout_json(session_id, now, now + LASTS, customer, amount, url) | chosen
        self._ledger.save(session)
        self._ledger.store.put(ORDER, {"id": session_id} | asdict(order))
        return session

    def find(self, session_id: str) -> Document:
        """The session, expired when its day is over. Raises CashierError."""
        session = self._ledger.find("checkout.session", session_id)
        if session["status"] == "open" and session["expires_at"] <= self._ledger.now():
            self._end(session)
        return session

    def order(self, session_id: str) -> Order:
        order = self._ledger.find(ORDER, session_id)
        return Order(order["price_ids"], order["trial_days"], order["metadata"])

    def complete(self, session_id: str, card: Card) -> bool:
        """Pay. A card that declines changes nothing: the session stays open for another try."""
        session, order = self._open_one(session_id), self.order(session_id)
        customer = self._ledger.customer(session["customer"])
        if card == "declines":
            if amount := session["amount_total"]:
                self._invoices.charge_card(
                    customer, self._cards.make(customer, card), amount, "Checkout"
                )
            return False
        self._cards.attach(customer["id"], card)
        subscription = self._subscriptions.open(
            customer["id"], known_prices(order.price_ids), order.trial_days, order.metadata
        )
        session |= {
            "status": "complete",
            "payment_status": "no_payment_required" if order.trial_days else "paid",
            "subscription": subscription["id"],
            "invoice": subscription["latest_invoice"],
            "url": None,
        }
        self._ledger.save(session, "checkout.session.completed")
        return True

    def expire(self, session_id: str) -> Document:
        session = self._open_one(session_id)
        self._end(session)
        return session

    def _open_one(self, session_id: str) -> Document:
        session = self.find(session_id)
        if session["status"] != "open":
            raise refused(
                f"This Checkout Session is {session['status']}; only an open one can do it.",
                "session",
            )
        return session

    def _end(self, session: Document) -> None:
        session |= {"status": "expired", "url": None}
        self._ledger.save(session, "checkout.session.expired")


class Portal:
    def __init__(self, ledger: Ledger, subscriptions: Subscriptions) -> None:
        self._ledger = ledger
        self._subscriptions = subscriptions

    def open(
        self, customer_id: str, return_url: str | None, flow: Document | None, host_url: str
    ) -> Document:
        """``flow`` as Stripe's ``flow_data``: none, ``subscription_update_confirm``,
        ``payment_method_update``."""
        customer, session_id = self._ledger.customer(customer_id), new_id("bps")
        shown = self._flow(customer["id"], flow) if flow else None
        url = f"{host_url}portal/{session_id}"
        session = portal_json(
            session_id, self._ledger.now(), customer["id"], return_url, shown, url
        )
        self._ledger.save(session)
        return session

    def find(self, session_id: str) -> Document:
        """Raises CashierError, also when its customer was deleted since."""
        session = self._ledger.find("billing_portal.session", session_id)
        self._ledger.customer(session["customer"], "id")
        return session

    def _flow(self, customer_id: str, flow: Document) -> Document:
        kind = flow.get("type")
        if kind not in ("subscription_update_confirm", "payment_method_update"):
            raise refused("The test cashier has no such flow.", "flow_data[type]")
        shown: Document = {
            "after_completion": {
                "hosted_confirmation": None,
                "redirect": None,
                "type": "portal_homepage",
            }
            | flow.get("after_completion", {}),
            "subscription_cancel": None,
            "subscription_update": None,
            "subscription_update_confirm": None,
            "type": kind,
        }
        if kind == "subscription_update_confirm":
            shown[kind] = self._update(customer_id, flow.get(kind, {}))
        return shown

    def _update(self, customer_id: str, update: Document) -> Document:
        param = "flow_data[subscription_update_confirm]"
        subscription = self._ledger.find(
            "subscription", update.get("subscription", ""), f"{param}[subscription]"
        )
        if subscription["customer"] != customer_id or subscription["status"] in ENDED:
            raise missing("subscription", subscription["id"], f"{param}[subscription]")
        prices = {item["id"]: item["price"]["id"] for item in subscription["items"]["data"]}
        items = [
            {"id": None, "price": None, "quantity": 1} | item for item in update.get("items", [])
        ]
        for item in items:
            if item["id"] not in prices:
                raise missing("subscription_item", str(item["id"]), f"{param}[items][0][id]")
            known_prices([item["price"]])
        if all(prices[item["id"]] == item["price"] for item in items):
            raise refused(
                "The subscription has these items already: there is nothing to confirm.",
                f"{param}[items]",
            )
        return {"discounts": None, "items": items, "subscription": subscription["id"]}
