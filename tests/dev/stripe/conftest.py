"""A fake Stripe with one customer, for those who use its pages."""

import pytest
from flask import Flask

from dev.stripe.factory import create_fake_stripe
from dev.stripe.state import FakeStripe
from tests.clock import Clock
from tests.dev.stripe.page_driver import PageDriver


@pytest.fixture
def fake_stripe(clock: Clock) -> Flask:
    return create_fake_stripe("sk_test_x", "whsec_x", None, None, clock)


@pytest.fixture
def state(fake_stripe: Flask) -> FakeStripe:
    return fake_stripe.extensions["state"]


@pytest.fixture
def page_driver(fake_stripe: Flask) -> PageDriver:
    return PageDriver(fake_stripe.test_client())


@pytest.fixture
def customer_id(state: FakeStripe) -> str:
    return state.customers.create("olga@example.com")["id"]
