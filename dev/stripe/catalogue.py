"""The fake Stripe's prices: each plan per month and per year, and a metered price per image."""

from dataclasses import dataclass
from typing import Literal

CURRENCY = "usd"
METER = "mtr_test_images"


@dataclass(frozen=True)
class Price:
    """``cents`` per month or year; for a ``metered`` price per image, where it may be a fraction
    (``"0.1"``)."""

    id: str
    product: str
    plan: str
    interval: Literal["month", "year"]
    cents: str
    metered: bool = False

    @property
    def amount(self) -> int:
        """Cents per period, charged in advance; 0 for metered prices."""
        return 0 if self.metered else int(self.cents)


PRICES = {
    price.id: price
    for price in (
        Price("price_team_month", "Lightwell Team", "TEAM", "month", "2900"),
        Price("price_team_year", "Lightwell Team", "TEAM", "year", "29000"),
        Price("price_business_month", "Lightwell Business", "BUSINESS", "month", "9900"),
        Price("price_business_year", "Lightwell Business", "BUSINESS", "year", "99000"),
        Price("price_images_metered", "Lightwell images", "IMAGES", "month", "0.1", metered=True),
    )
}
