"""What a price stands for."""

from datetime import UTC, datetime

import pytest

from app.adapters.payments.interface import PriceLine, Subscription, SubscriptionItem
from app.services.billing.prices import Prices, UnknownPrice
from app.settings_types import PlanPrice

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PRICES = Prices(
    licensed=(
        PlanPrice("BUSINESS", "month", "price_new"),
        PlanPrice("TEAM", "month", "price_team"),
        PlanPrice("BUSINESS", "month", "price_old"),
    ),
    metered=(
        PlanPrice("TEAM", "month", "price_images"),
        PlanPrice("AGENCY", "year", "price_agency"),
    ),
)


def paying(*price_ids: str) -> Subscription:
    items = [SubscriptionItem(f"si_{price_id}", price_id, NOW) for price_id in price_ids]
    return Subscription("sub_1", "cus_1", "active", items, NOW, None)


@pytest.mark.parametrize(
    ("plan", "interval", "lines"),
    [
        ("BUSINESS", "month", [PriceLine("price_new")]),
        ("TEAM", "month", [PriceLine("price_team"), PriceLine("price_images", metered=True)]),
        ("AGENCY", "year", [PriceLine("price_agency", metered=True)]),
        ("TEAM", "year", []),
        ("FREE", "month", []),
    ],
)
def test_the_first_price_of_each_kind_is_sold(
    plan: str, interval: str, lines: list[PriceLine]
) -> None:
    assert PRICES.lines(plan, interval) == lines


def test_plans_for_sale_are_those_with_a_price() -> None:
    assert PRICES.plans() == ["BUSINESS", "TEAM", "AGENCY"]


@pytest.mark.parametrize(
    ("paid", "plan", "interval", "metered"),
    [
        (["price_new"], "BUSINESS", "month", False),
        (["price_old"], "BUSINESS", "month", False),
        (["price_images", "price_team"], "TEAM", "month", True),
        (["price_images", "price_old"], "BUSINESS", "month", True),
        (["price_agency"], "AGENCY", "year", True),
        (["price_support", "price_team"], "TEAM", "month", False),
    ],
)
def test_prices_hold_for_those_who_bought_them(
    paid: list[str], plan: str, interval: str, metered: bool
) -> None:
    """What is not sold any more, and beside other things."""
    known = PRICES.of(paying(*paid))
    assert (known.plan, known.interval, PRICES.is_metered(paying(*paid))) == (
        plan,
        interval,
        metered,
    )


def test_a_price_that_nobody_named_is_named() -> None:
    with pytest.raises(
        UnknownPrice, match="sub_1 pays price_support, price_x, which STRIPE_PRICES does not name"
    ):
        PRICES.of(paying("price_x", "price_support"))
