"""Which way leads to each plan, and what changes on it."""

from typing import Any

import pytest

from app.adapters.payments.interface import Price
from app.models import BillingAccount, Organization, Plan
from app.services.billing import offers
from app.services.billing.offers import Way
from app.services.billing.prices import Prices
from app.services.billing.standing import Standing
from app.settings_types import PlanPrice
from tests.billing import ACCOUNT
from tests.clock import NOON

PRICES = Prices(ACCOUNT.stripe_prices, ())


def plan(code: str, cents: int | None, images: int | None) -> Plan:
    return Plan(
        code=code, price_cents=cents, monthly_images=images, requests_per_second=2,
        storage_mb=None if images is None else images, file_mb=20, batch_files=20,
        workspace_api=images != 100,
    )  # fmt: skip


PLANS = [
    plan("FREE", 0, 100),
    plan("TEAM", 2900, 20_000),
    plan("BUSINESS", 9900, 200_000),
    plan("ENTERPRISE", None, None),
]


def ways(
    present: str,
    account: BillingAccount | None = None,
    prices: Prices = PRICES,
    interval: str = "month",
    **organization: Any,
) -> list[Way]:
    place = Standing(Organization(plan_code=present, **organization), account)
    return [one.way for one in offers.offers(PLANS, present, place, prices, interval, {}, NOON)]


def paying(code: str, status: str = "active", **values: Any) -> BillingAccount:
    return BillingAccount(plan_code=code, interval="month", status=status, **values)


def test_who_pays_nothing_can_buy() -> None:
    assert ways("FREE") == [Way.PRESENT, Way.BUY, Way.BUY, Way.CONTRACT]
    assert ways("FREE", BillingAccount(status="incomplete"))[1] == Way.BUY


def test_who_pays_can_change_or_cancel() -> None:
    assert ways("TEAM", paying("TEAM")) == [Way.CANCEL, Way.PRESENT, Way.CHANGE, Way.CONTRACT]
    assert ways("TEAM", paying("TEAM"), interval="year")[1] == Way.CHANGE
    leaving = paying("TEAM", cancel_at=NOON)
    assert ways("TEAM", leaving)[:2] == [Way.INCLUDED, Way.PRESENT]


def test_what_is_open_is_settled_first() -> None:
    late = ways("TEAM", paying("TEAM", "past_due"), plan_lapses_at=NOON)
    assert late == [Way.CANCEL, Way.PORTAL, Way.PORTAL, Way.CONTRACT]
    assert ways("FREE", BillingAccount(status="paused"))[1] == Way.PORTAL


def test_what_was_given_need_not_be_bought() -> None:
    given = ways("BUSINESS", granted_plan_code="BUSINESS")
    assert given == [Way.INCLUDED, Way.INCLUDED, Way.PRESENT, Way.CONTRACT]
    assert ways("ENTERPRISE", granted_plan_code="ENTERPRISE")[3] == Way.PRESENT


def test_what_has_no_price_is_not_sold() -> None:
    only_team = Prices([PlanPrice("TEAM", "month", "price_1")], ())
    assert ways("FREE", prices=only_team)[1:3] == [Way.BUY, Way.UNSOLD]
    assert ways("FREE", prices=only_team, interval="year")[1] == Way.UNSOLD
    assert ways("FREE", prices=Prices((), ()))[1:] == [Way.UNSOLD, Way.UNSOLD, Way.CONTRACT]


def test_limits_are_more_or_less_than_now() -> None:
    place = Standing(Organization(plan_code="TEAM"), None)
    changes = {
        one.code: {limit.name: limit.change for limit in one.limits}
        for one in offers.offers(PLANS, "TEAM", place, PRICES, "month", {}, NOON)
    }
    assert set(changes["TEAM"].values()) == {""}
    assert changes["FREE"] | {"file": ""} == {
        "images": "less", "requests": "", "storage": "less", "file": "", "batch": "",
        "workspace": "less",
    }  # fmt: skip
    assert (changes["ENTERPRISE"]["images"], changes["ENTERPRISE"]["storage"]) == ("more", "more")
    unlimited = offers.offers(PLANS, "ENTERPRISE", place, PRICES, "month", {}, NOON)
    assert unlimited[2].limits[0].change == "less"


@pytest.mark.parametrize(
    ("yearly", "price", "saving"),
    [
        (Price(29000, "usd"), Price(29000, "usd"), 5800),
        (Price(40000, "usd"), Price(40000, "usd"), 0),
        (Price(29000, "eur"), Price(29000, "eur"), 0),
        (Price(None, "usd"), Price(None, "usd"), 0),
        (None, None, 0),
    ],
)
def test_a_year_costs_what_the_provider_says(
    yearly: Price | None, price: Price | None, saving: int
) -> None:
    place = Standing(Organization(plan_code="FREE"), None)
    known = {"TEAM": yearly} if yearly else {}
    team = offers.offers(PLANS, "FREE", place, PRICES, "year", known, NOON)[1]
    assert (team.price, team.saving) == (price, saving)
    by_month = offers.offers(PLANS, "FREE", place, PRICES, "month", known, NOON)[1]
    assert (by_month.price, by_month.saving) == (Price(2900, "usd"), 0)
