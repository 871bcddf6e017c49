"""The payment provider as this server uses it, in one value that services are handed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.adapters.payments.interface import Payments
from app.services.billing.prices import Prices


@dataclass(frozen=True)
class Provider:
    """Who takes the money, what its prices stand for, and how long a plan goes on without it.

    ``meter`` is the name of the meter that counts images, empty for none.
    """

    payments: Payments
    prices: Prices
    grace: timedelta
    meter: str
    clock: Callable[[], datetime]
