"""The fake Stripe's parts, put together on one store."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dev.stripe.cards import Cards
from dev.stripe.customers import Customers
from dev.stripe.invoices import Invoices
from dev.stripe.journal import Journal
from dev.stripe.meter import Meter
from dev.stripe.sessions import Checkout, Portal
from dev.stripe.store import Store
from dev.stripe.subscriptions import Subscriptions


def utc_now() -> datetime:
    return datetime.now(UTC)


class FakeStripe:
    """``path`` None keeps everything in memory; ``delivers`` marks events for delivery, until they
    are delivered."""

    def __init__(
        self,
        path: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        *,
        delivers: bool = False,
    ) -> None:
        self.journal = journal = Journal(Store(path), clock, delivers=delivers)
        cards = Cards(journal)
        self.invoices = Invoices(journal)
        self.meter = Meter(journal)
        self.subscriptions = Subscriptions(journal, cards, self.invoices, self.meter)
        self.customers = Customers(journal, cards, self.invoices, self.subscriptions)
        self.checkout = Checkout(journal, cards, self.invoices, self.subscriptions)
        self.portal = Portal(journal, self.subscriptions)

    def close(self) -> None:
        self.journal.store.close()
