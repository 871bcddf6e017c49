"""The sessions of Checkout, which end in a subscription, and of the portal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from dev.stripe.cards import Cards
from dev.stripe.errors import declined, missing, refused
from dev.stripe.invoices import Invoices
from dev.stripe.journal import Journal, StatePart, atomic, new_id
from dev.stripe.objects import Card
from dev.stripe.session_objects import checkout_json, portal_json
from dev.stripe.store import Document
from dev.stripe.subscriptions import ENDED, NOTHING, Subscriptions, known_prices

LASTS = 24 * 60 * 60
ORDER = "checkout_order"
HOST_URL = "http://stripe.test/"


@dataclass(frozen=True)
class CheckoutOrder:
    """The subscription that a paid Checkout session creates; Stripe's session object does not
    contain it."""

    price_ids: Sequence[str]
    trial_days: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class Checkout(StatePart):
    def __init__(
        self, journal: Journal, cards: Cards, invoices: Invoices, subscriptions: Subscriptions
    ) -> None:
        super().__init__(journal)
        self._cards = cards
        self._invoices = invoices
        self._subscriptions = subscriptions

    @atomic
    def open(
        self,
        customer_id: str,
        order: CheckoutOrder,
        host_url: str = HOST_URL,
        chosen: Mapping[str, object] = NOTHING,
    ) -> Document:
        """``chosen``: success_url, cancel_url, client_reference_id, metadata."""
        prices, customer = known_prices(order.price_ids), self.journal.customer(customer_id)
        now, session_id = self.journal.now(), new_id("cs_test")
        url = f"{host_url}checkout/{session_id}"
        amount = 0 if order.trial_days else sum(price.amount for price in prices)
        session = checkout_json(session_id, now, now + LASTS, customer, amount, url)
        session |= chosen
        self.journal.save(session)
        self.journal.store.put(ORDER, {"id": session_id} | asdict(order))
        return session

    @atomic
    def find(self, session_id: str) -> Document:
        """Return the session, expired after 24 hours. Raises FakeStripeError."""
        session = self.journal.find("checkout.session", session_id)
        if session["status"] == "open" and session["expires_at"] <= self.journal.now():
            self._end(session)
        return session

    def order(self, session_id: str) -> CheckoutOrder:
        """Return the order of a session."""
        order = self.journal.find(ORDER, session_id)
        return CheckoutOrder(order["price_ids"], order["trial_days"], order["metadata"])

    def complete(self, session_id: str, card: Card = "works") -> Document:
        """Pay. A card that declines raises FakeStripeError ``card_declined`` and leaves the session
        open."""
        if not self._pay(session_id, card):
            raise declined()
        return self.find(session_id)

    @atomic
    def expire(self, session_id: str) -> Document:
        session = self._open_one(session_id)
        self._end(session)
        return session

    @atomic
    def _pay(self, session_id: str, card: Card) -> bool:
        session, order = self._open_one(session_id), self.order(session_id)
        customer = self.journal.customer(session["customer"])
        if card == "declines":
            if amount := session["amount_total"]:
                method = self._cards.make(customer, card)
                self._invoices.charge_card(customer, method, amount, "Checkout")
            return False
        subscription = self._subscriptions.create(
            customer["id"],
            order.price_ids,
            trial_days=order.trial_days,
            metadata=order.metadata,
            card=card,
        )
        session |= {
            "status": "complete",
            "payment_status": "no_payment_required" if order.trial_days else "paid",
            "subscription": subscription["id"],
            "invoice": subscription["latest_invoice"],
            "url": None,
        }
        self.journal.save(session, "checkout.session.completed")
        return True

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
        self.journal.save(session, "checkout.session.expired")


class Portal(StatePart):
    def __init__(self, journal: Journal, subscriptions: Subscriptions) -> None:
        super().__init__(journal)
        self._subscriptions = subscriptions

    @atomic
    def open(
        self,
        customer_id: str,
        return_url: str | None = None,
        flow: Document | None = None,
        host_url: str = HOST_URL,
    ) -> Document:
        """``flow`` as Stripe's ``flow_data``: none, ``subscription_update_confirm``,
        ``payment_method_update``."""
        customer, session_id = self.journal.customer(customer_id), new_id("bps")
        shown = self._flow(customer["id"], flow) if flow else None
        url = f"{host_url}portal/{session_id}"
        session = portal_json(
            session_id, self.journal.now(), customer["id"], return_url, shown, url
        )
        self.journal.save(session)
        return session

    def find(self, session_id: str) -> Document:
        """Return the session. Raises FakeStripeError, also if its customer was deleted."""
        session = self.journal.find("billing_portal.session", session_id)
        self.journal.customer(session["customer"], "id")
        return session

    @atomic
    def confirm(self, session_id: str) -> Document:
        """Change the prices as the session's ``subscription_update_confirm`` says. Returns the
        subscription."""
        flow = self.find(session_id)["flow"]
        if not flow or not flow["subscription_update_confirm"]:
            raise refused("This portal session has nothing to confirm.", "flow_data")
        update = flow["subscription_update_confirm"]
        wanted = {item["id"]: item["price"] for item in update["items"]}
        items = self._subscriptions.find(update["subscription"])["items"]["data"]
        return self._subscriptions.change_prices(
            update["subscription"],
            [wanted.get(item["id"], item["price"]["id"]) for item in items],
        )

    def _flow(self, customer_id: str, flow: Document) -> Document:
        kind = flow.get("type")
        if kind not in ("subscription_update_confirm", "payment_method_update"):
            raise refused("The fake Stripe has no such flow.", "flow_data[type]")
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
        subscription = self.journal.find(
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
