"""The plans and intervals that the payment provider's prices stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.adapters.payments.interface import PriceLine, Subscription
from app.settings_types import PlanPrice

SETTING = "STRIPE_PRICES"


class UnknownPrice(Exception):
    """A subscription pays a price that STRIPE_PRICES does not name."""


@dataclass(frozen=True)
class Prices:
    """``licensed`` prices cost the same every interval, ``metered`` prices are per image. If
    several stand for the same plan and interval, the first is sold."""

    licensed: Sequence[PlanPrice]
    metered: Sequence[PlanPrice]

    def lines(self, plan_code: str, interval: str) -> list[PriceLine]:
        """The lines of a subscription to a plan; empty if it is not for sale."""
        firsts = (
            next(
                (
                    PriceLine(one.price_id, metered)
                    for one in prices
                    if one[:2] == (plan_code, interval)
                ),
                None,
            )
            for prices, metered in ((self.licensed, False), (self.metered, True))
        )
        return [line for line in firsts if line]

    def plans(self) -> list[str]:
        """The codes of the plans that are for sale."""
        return list(dict.fromkeys(one.plan for one in (*self.licensed, *self.metered)))

    def of(self, subscription: Subscription) -> PlanPrice:
        """The plan and interval that a subscription pays for. Raises UnknownPrice."""
        paid = {item.price_id for item in subscription.items}
        for known in (*self.licensed, *self.metered):
            if known.price_id in paid:
                return known
        raise UnknownPrice(
            f"{subscription.id} pays {', '.join(sorted(paid))}, which {SETTING} does not name"
        )

    def is_metered(self, subscription: Subscription) -> bool:
        paid = {item.price_id for item in subscription.items}
        return any(known.price_id in paid for known in self.metered)
