"""What pages show of the payment provider: kept in Redis for a short time, so that they are quick,
and left out while the provider does not answer."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.exceptions import RedisError

from app.adapters.payments.interface import CustomerGone, Invoice, Price
from app.errors import Overloaded
from app.services.billing.prices import Prices
from app.services.billing.provider import Provider
from app.services.billing.standing import Standing

T = TypeVar("T")

INVOICE_SECONDS = 60
PRICE_SECONDS = 3600
FAILURE_SECONDS = 10
"""For this long after a failure nobody waits for the provider again."""
INVOICES = TypeAdapter(list[Invoice])
PRICES = TypeAdapter(dict[str, Price])
FAILED = b"failed"


@dataclass(frozen=True)
class ProviderCache:
    """``admitted`` opens a place among the calls to other servers; it raises Overloaded."""

    provider: Provider
    redis: Redis
    admitted: Callable[[], AbstractContextManager[object]]

    def invoices(self, place: Standing) -> Sequence[Invoice] | None:
        """The last invoices of an organization, the newest first; None while they can't be read.
        After a change of the subscription they are read again."""
        account = place.account
        if account is None or account.customer_id is None:
            return []
        customer_id = account.customer_id
        return self._read(
            f"invoices:{customer_id}:{account.revision}",
            INVOICE_SECONDS,
            INVOICES,
            lambda: list(self.provider.payments.invoices(customer_id)),
        )

    def yearly_prices(self) -> Mapping[str, Price]:
        """What the plans cost by the year, by their codes; empty while that can't be read."""
        ids = yearly_ids(self.provider.prices)
        return (
            self._read(
                f"prices:{','.join(ids.values())}",
                PRICE_SECONDS,
                PRICES,
                lambda: {plan: self.provider.payments.price(id_) for plan, id_ in ids.items()},
            )
            or {}
        )

    def _read(
        self, name: str, seconds: int, kind: TypeAdapter[T], ask: Callable[[], T]
    ) -> T | None:
        key = f"billing:{name}"
        with suppress(RedisError, ValidationError):
            kept = self.redis.get(key)
            if kept is not None:
                return None if kept == FAILED else kind.validate_json(kept)
        try:
            with self.admitted():
                found = ask()
        except (Overloaded, CustomerGone):
            self._keep(key, FAILED, FAILURE_SECONDS)
            return None
        self._keep(key, kind.dump_json(found), seconds)
        return found

    def _keep(self, key: str, value: bytes, seconds: int) -> None:
        with suppress(RedisError):
            self.redis.set(key, value, ex=seconds)


def yearly_ids(prices: Prices) -> dict[str, str]:
    """The ids of the prices that are sold by the year, by plan. A plan with a metered price as well
    has no one price."""
    lines = {plan: prices.lines(plan, "year") for plan in prices.plans()}
    return {
        plan: found[0].price_id
        for plan, found in lines.items()
        if len(found) == 1 and not found[0].metered
    }
