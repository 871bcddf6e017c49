"""How failures of Stripe become our own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import stripe
import structlog

from app.adapters.payments.interface import ChangeRefused, CustomerGone
from app.errors import DependencyDown

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 10
SHOWN_CHARACTERS = 500
"""The longest text of an error in the log: it may be a proxy's whole page."""
OF_A_CUSTOMER = frozenset({"id", "customer", "payload[stripe_customer_id]"})
"""Parameters in which Stripe misses a customer, not something that the operator has configured."""
PASSING = (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)
UNREADABLE = (AttributeError, UnicodeDecodeError)
"""What the SDK raises over an answer that is not Stripe's but that of a proxy on the way."""
COUNTED_ALREADY = "An event already exists with identifier"
"""How Stripe refuses to count the same usage again; the refusal has no code."""


@contextmanager
def answering() -> Iterator[None]:
    """Raises CustomerGone, and DependencyDown for all other failures of Stripe."""
    try:
        yield
    except PASSING as error:
        log.warning("payments.down", error=str(error)[:SHOWN_CHARACTERS])
        raise down() from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing" and error.param in OF_A_CUSTOMER:
            raise CustomerGone(str(error)) from error
        log.error("payments.refused", error=str(error), param=error.param)
        raise down() from error
    except stripe.StripeError as error:
        log.error("payments.refused", error=str(error))
        raise down() from error
    except UNREADABLE as error:
        log.exception("payments.unreadable")
        raise down() from error


@contextmanager
def allowed_by_the_portal() -> Iterator[None]:
    """Raises ChangeRefused. The portal changes plans only where the account's settings allow it;
    its refusal has no code."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code is not None:
            raise
        log.error("payments.refused", error=str(error), param=error.param)
        raise ChangeRefused(str(error)) from error


@contextmanager
def counting_once() -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError as error:
        if COUNTED_ALREADY not in str(error):
            raise


@contextmanager
def cancelling_once() -> Iterator[None]:
    """Stripe does not find a subscription that has ended when it is to end again."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise


def down() -> DependencyDown:
    return DependencyDown(
        "The payment provider does not answer just now. Nothing was bought or changed; repeat the "
        "request shortly.",
        retry_after=RETRY_AFTER_SECONDS,
    )
