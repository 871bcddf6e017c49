"""What Lightwell asks of a payment provider, and the values that it answers with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class InvalidSignature(Exception):
    """A message that the provider did not send, or sent too long ago."""


class CustomerGone(Exception):
    """The provider has no such customer any more."""


class ChangeRefused(Exception):
    """The provider's settings do not allow this change of a subscription."""


@dataclass(frozen=True)
class SubscriptionItem:
    """A price that a subscription pays. ``period_end`` is when the paid period is over."""

    id: str
    price_id: str
    period_end: datetime


@dataclass(frozen=True)
class Subscription:
    """A subscription as the provider has it now. ``status`` is one of Stripe's; ``cancel_at`` is
    set once it was cancelled."""

    id: str
    customer_id: str
    status: str
    items: Sequence[SubscriptionItem]
    created_at: datetime
    cancel_at: datetime | None


@dataclass(frozen=True)
class PriceLine:
    """What a checkout sells: a price, once or, where it is metered, by what will be used."""

    price_id: str
    metered: bool = False


@dataclass(frozen=True)
class Price:
    """What a price costs an interval, or, where it is metered, an image. ``cents`` is None where
    that is no whole number of cents, or depends on the amount."""

    cents: int | None
    currency: str


@dataclass(frozen=True)
class Invoice:
    """An invoice, as the provider has it now. ``cents`` is negative for a credit; ``status`` is one
    of Stripe's. ``url`` is a page of the provider's, ``pdf_url`` a file."""

    id: str
    number: str
    issued_at: datetime
    cents: int
    currency: str
    status: str
    url: str | None
    pdf_url: str | None


@dataclass(frozen=True)
class Event:
    """A message from the provider. ``subject`` is the id of the customer or charge that it is
    about, where there is one; ``payload`` is the event as it came, without people's names and
    addresses, or None where it is too long to be kept."""

    id: str
    type: str
    created_at: datetime
    subject: str | None
    payload: dict[str, Any] | None = None


class Payments(Protocol):
    """A payment provider. All calls but ``event`` go over the network and raise DependencyDown
    where that fails."""

    def create_customer(self, org_id: str, number: int, name: str, email: str) -> str:
        """Create the organization's customer ``number`` and return its id. A second call creates no
        second customer."""
        ...

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        """Those of a customer that have not ended. Raises CustomerGone."""
        ...

    def subscriptions(self) -> Iterator[Subscription]:
        """All that have not ended."""
        ...

    def checkout(
        self,
        org_id: str,
        customer_id: str,
        lines: Sequence[PriceLine],
        success_url: str,
        cancel_url: str,
    ) -> str:
        """The URL of a page that sells a subscription. The customer's earlier pages are closed.
        Raises CustomerGone."""
        ...

    def change(
        self,
        subscription: Subscription,
        lines: Sequence[PriceLine],
        done_url: str,
        cancel_url: str,
    ) -> str:
        """The URL of a page where the customer confirms that a subscription changes to other
        prices.

        Raises CustomerGone, ChangeRefused.
        """
        ...

    def portal(self, customer_id: str, return_url: str) -> str:
        """The URL of a page where the customer looks after subscription, card and invoices. Raises
        CustomerGone."""
        ...

    def price(self, price_id: str) -> Price: ...

    def invoices(self, customer_id: str, limit: int = 24) -> Sequence[Invoice]:
        """A customer's invoices without drafts, the newest first. Raises CustomerGone."""
        ...

    def cancel(self, subscription_id: str) -> None:
        """End a subscription at once, without a refund. One that has ended, or never was, is
        left."""
        ...

    def customer_of_charge(self, charge_id: str) -> str | None:
        """The id of the customer who paid."""
        ...

    def meter(
        self, event_name: str, entry_id: str, customer_id: str, images: int, at: datetime
    ) -> None:
        """Report usage. It counts once, however often it is reported. ``at`` is at most 35 days
        ago. Raises CustomerGone."""
        ...

    def event(self, payload: bytes, signature: str) -> Event:
        """The event in a webhook's body, which came with this signature. Raises
        InvalidSignature."""
        ...
