"""Stores the documents of all parts of the fake Stripe, and the events about their changes."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import wraps
from threading import Event
from typing import Concatenate, ParamSpec, TypeVar

from dev.stripe.errors import missing
from dev.stripe.objects import event_json
from dev.stripe.store import Document, Store

UNDELIVERED = "undelivered"


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class Journal:
    """Documents by their ``object`` and id, kept under their customer.

    ``pending_events`` is set when there are events to deliver. If ``delivers`` is False, none are
    marked for delivery.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], *, delivers: bool) -> None:
        self.store = store
        self.pending_events = Event()
        self._clock = clock
        self._delivers = delivers

    def now(self) -> int:
        return int(self._clock().timestamp())

    def transaction(self) -> AbstractContextManager[None]:
        return self.store.transaction()

    def find(self, kind: str, document_id: str, param: str = "id") -> Document:
        """Return an object by Stripe's name of its kind: ``subscription``, ``invoice``, ``charge``,
        ``event`` …

        Raises FakeStripeError, with ``param`` as the name of what was looked up.
        """
        if document := self.store.get(kind, document_id):
            return document
        raise missing(kind, document_id, param)

    def all(self, kind: str, customer_id: str | None = None) -> list[Document]:
        """All objects of a kind, or those of a customer, oldest first."""
        return self.store.all(kind, customer_id)

    def customer(self, customer_id: str, param: str = "customer") -> Document:
        """Return a customer. Raises FakeStripeError if it was deleted."""
        customer = self.find("customer", customer_id, param)
        if customer.get("deleted"):
            raise missing("customer", customer_id, param)
        return customer

    def save(self, document: Document, *events: str) -> None:
        """Store a document and emit ``events``. An ``….updated`` event carries the previous values,
        and is left out if nothing changed."""
        kind = document["object"]
        before = self.store.get(kind, document["id"]) if events else None
        self.store.put(kind, document, document.get("customer") or "")
        for event in events:
            if not event.endswith(".updated"):
                self.emit(event, document)
            elif previous := _changes(before or {}, document):
                self.emit(event, document, previous)

    def emit(self, event_type: str, about: Document, previous: Document | None = None) -> None:
        event = event_json(
            new_id("evt"), self.now(), event_type, about, previous, int(self._delivers)
        )
        self.store.put("event", event)
        if self._delivers:
            self.store.put(UNDELIVERED, {"id": event["id"]})
            self.pending_events.set()

    def events(self, after: str | None = None) -> list[Document]:
        """Return all events, or those after the event ``after``, oldest first."""
        return self.store.all("event", after=after)

    def undelivered(self) -> list[str]:
        """Ids of events, oldest first."""
        return [entry["id"] for entry in self.store.all(UNDELIVERED)]

    def delivered(self, event_id: str) -> None:
        with self.transaction():
            self.save(self.find("event", event_id) | {"pending_webhooks": 0})
            self.store.remove(UNDELIVERED, event_id)


class StatePart:
    """A part of the fake Stripe. Its public methods take and return plain values and dicts in
    Stripe's shape, and raise FakeStripeError."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal


P = ParamSpec("P")
T = TypeVar("T")
SomePart = TypeVar("SomePart", bound=StatePart)


def atomic(
    method: Callable[Concatenate[SomePart, P], T],
) -> Callable[Concatenate[SomePart, P], T]:
    """Run the method in a transaction, together with its events."""

    @wraps(method)
    def whole(self: SomePart, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.journal.transaction():
            return method(self, *args, **kwargs)

    return whole


def _changes(before: Document, after: Document) -> Document:
    return {name: value for name, value in before.items() if after.get(name) != value}
