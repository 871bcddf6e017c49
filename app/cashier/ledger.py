"""What every part of the books writes in: documents, and the events that tell of their changes."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Event

from app.cashier.errors import missing
from app.cashier.objects import event_json
from app.cashier.store import Document, Store

UNDELIVERED = "undelivered"


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class Ledger:
    """Documents by their ``object`` and id, kept under their customer.

    ``news`` is set when there is something to deliver; with ``delivers`` off nothing is marked for
    delivery.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], *, delivers: bool) -> None:
        self.store = store
        self.news = Event()
        self._clock = clock
        self._delivers = delivers

    def now(self) -> int:
        return int(self._clock().timestamp())

    def transaction(self) -> AbstractContextManager[None]:
        return self.store.transaction()

    def find(self, kind: str, document_id: str, param: str = "id") -> Document:
        """Raises CashierError, with ``param`` as the name of what was looked up."""
        if document := self.store.get(kind, document_id):
            return document
        raise missing(kind, document_id, param)

    def customer(self, customer_id: str, param: str = "customer") -> Document:
        """One that was not deleted. Raises CashierError."""
        customer = self.find("customer", customer_id, param)
        if customer.get("deleted"):
            raise missing("customer", customer_id, param)
        return customer

    def save(self, document: Document, *events: str) -> None:
        """Put a document and tell of it. An ``….updated`` event says what was there before, or is
        left out."""
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
            self.news.set()


def _changes(before: Document, after: Document) -> Document:
    return {name: value for name, value in before.items() if after.get(name) != value}
