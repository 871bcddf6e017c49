"""What the fake Stripe sells: each plan by the month and by the year, and single images by a
meter."""

from dataclasses import dataclass
from typing import Literal

CURRENCY = "usd"
METER = "mtr_test_images"


@dataclass(frozen=True)
class Price:
    """``cents`` a month or year; of a ``metered`` price, an image, where they may be fractions
    (``"0.1"``)."""

    id: str
    product: str
    plan: str
    interval: Literal["month", "year"]
    cents: str
    metered: bool = False

    @property
    def amount(self) -> int:
        """Cents a period, in advance; what a meter counts costs nothing in advance."""
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
