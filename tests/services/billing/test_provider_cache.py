"""What is kept of the provider's answers, for how long, and what happens when nothing answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.adapters.payments.interface import CustomerGone, Invoice, Price
from app.adapters.payments.stripe import StripePayments
from app.errors import DependencyDown, Overloaded
from app.models import BillingAccount, Organization
from app.services.billing.prices import Prices
from app.services.billing.provider import Provider
from app.services.billing.provider_cache import FAILURE_SECONDS, ProviderCache, yearly_ids
from app.services.billing.standing import Standing
from app.settings_types import PlanPrice
from tests.billing import METERED, SITE
from tests.clock import NOON

INVOICE = Invoice("in_1", "A-1", NOON, 2900, "usd", "paid", "https://pay.example/1", None)


@dataclass
class Asked(StripePayments):
    """Payments that only answer what pages ask; ``failure`` is raised if there is one."""

    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def invoices(self, customer_id: str, limit: int = 24) -> list[Invoice]:
        self._ask(customer_id)
        return [INVOICE]

    def price(self, price_id: str) -> Price:
        self._ask(price_id)
        return Price(29000, "usd")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failure:
            raise self.failure


def standing(customer_id: str | None = None, revision: int = 0) -> Standing:
    account = BillingAccount(customer_id=customer_id or f"cus_{uuid4().hex}", revision=revision)
    return Standing(Organization(), account)


@contextmanager
def admitted() -> Iterator[None]:
    yield


@contextmanager
def refused() -> Iterator[None]:
    raise Overloaded("The server is busy.")
    yield


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as connection:
        yield connection


def cache_of(payments: Asked, redis: Redis, sold: Sequence[PlanPrice] = ()) -> ProviderCache:
    provider = Provider(payments, Prices(sold, ()), timedelta(days=7), "", SITE, lambda: NOON)
    return ProviderCache(provider, redis, admitted)


def test_invoices_are_kept_for_a_minute_and_a_revision(redis: Redis) -> None:
    payments, place = Asked(), standing()
    for _ in range(2):
        assert cache_of(payments, redis).invoices(place) == [INVOICE]
    assert place.account
    customer_id = place.account.customer_id
    assert payments.asked == [customer_id]
    assert 50 < redis.ttl(f"billing:invoices:{customer_id}:0") <= 60
    cache_of(payments, redis).invoices(standing(customer_id, revision=1))
    assert len(payments.asked) == 2


def test_who_has_no_customer_has_no_invoices(redis: Redis) -> None:
    payments = Asked()
    nobody = Standing(Organization(), BillingAccount(customer_id=None))
    for place in (nobody, Standing(Organization(), None)):
        assert cache_of(payments, redis).invoices(place) == []
    assert payments.asked == []


@pytest.mark.parametrize("failure", [DependencyDown("down"), CustomerGone("cus_1")])
def test_a_failure_is_kept_for_seconds(redis: Redis, failure: Exception) -> None:
    payments, place = Asked(failure), standing()
    for _ in range(2):
        assert cache_of(payments, redis).invoices(place) is None
    assert len(payments.asked) == 1
    assert place.account
    key = f"billing:invoices:{place.account.customer_id}:0"
    assert 0 < redis.ttl(key) <= FAILURE_SECONDS
    redis.delete(key)
    payments.failure = None
    assert cache_of(payments, redis).invoices(place) == [INVOICE]


def test_a_server_that_is_busy_asks_nobody(redis: Redis) -> None:
    payments = Asked()
    cache = cache_of(payments, redis)
    assert ProviderCache(cache.provider, redis, refused).invoices(standing()) is None
    assert payments.asked == []


def test_what_another_version_has_kept_is_asked_for_again(redis: Redis) -> None:
    payments, place = Asked(), standing("cus_old")
    redis.set("billing:invoices:cus_old:0", b'[{"amount": 1}]')
    assert cache_of(payments, redis).invoices(place) == [INVOICE]


def test_without_redis_everybody_asks() -> None:
    payments, place = Asked(), standing()
    with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nobody:
        for _ in range(2):
            assert cache_of(payments, nobody).invoices(place) == [INVOICE]
    assert len(payments.asked) == 2


def test_yearly_prices_are_kept_together(redis: Redis) -> None:
    payments = Asked()
    ids = [f"price_{uuid4().hex}" for _ in range(2)]
    sold = [
        PlanPrice("TEAM", "year", ids[0]),
        PlanPrice("BUSINESS", "year", ids[1]),
        PlanPrice("TEAM", "month", "price_month"),
    ]
    for _ in range(2):
        found = cache_of(payments, redis, sold).yearly_prices()
        assert found == {"TEAM": Price(29000, "usd"), "BUSINESS": Price(29000, "usd")}
    assert payments.asked == ids


def test_a_plan_that_is_paid_by_the_image_has_no_one_price() -> None:
    metered = [PlanPrice("TEAM", "year", METERED), PlanPrice("BUSINESS", "year", METERED)]
    prices = Prices([PlanPrice("TEAM", "year", "price_1")], metered)
    assert yearly_ids(prices) == {}
