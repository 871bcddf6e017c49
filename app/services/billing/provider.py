"""The payment provider and its settings, in one value that is passed to services."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.adapters.payments.interface import Payments
from app.services.billing.prices import Prices


@dataclass(frozen=True)
class Provider:
    """The provider's adapter, its prices, and the grace period of an overdue plan.

    ``meter`` is the name of the meter that counts images; it is empty if there is none. ``site`` is
    where links in mails lead.
    """

    payments: Payments
    prices: Prices
    grace: timedelta
    meter: str
    site: str
    clock: Callable[[], datetime]
