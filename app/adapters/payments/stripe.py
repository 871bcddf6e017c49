"""Payments by Stripe, or by the fake Stripe, which speaks the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any

import stripe
import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from stripe import HTTPClient, RequestsClient, StripeClient
from stripe.params.billing_portal import (
    SessionCreateParamsFlowDataSubscriptionUpdateConfirmItem as UpdatedItem,
)

from app.adapters.payments.interface import (
    ChangeRefused,
    CustomerGone,
    Event,
    InvalidSignature,
    PriceLine,
    Subscription,
    SubscriptionItem,
)
from app.errors import DependencyDown

log = structlog.get_logger()

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
RETRIES = 1
"""For what Stripe says is locked by another call just now, and for a connection that broke."""
RETRY_AFTER_SECONDS = 10
PAGE = 100
SHOWN_CHARACTERS = 500
"""The longest text of an error in the log: it may be a proxy's whole page."""
TOLERANCE_SECONDS = 300
OF_A_CUSTOMER = frozenset({"id", "customer", "payload[stripe_customer_id]"})
"""Parameters in which Stripe misses a customer, not something that the operator has configured."""
PASSING = (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)
UNREADABLE = (AttributeError, UnicodeDecodeError)
"""What the SDK raises over an answer that is not Stripe's but that of a proxy on the way."""
COUNTED_ALREADY = "An event already exists with identifier"
"""How Stripe refuses to count the same usage again; the refusal has no code."""


def _reference(thing: object) -> object:
    """The id of what is given by its id, or whole."""
    return thing.get("id") if isinstance(thing, dict) else thing


Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Reference = Annotated[Id | None, BeforeValidator(_reference)]


class _About(BaseModel):
    """What an event is about."""

    model_config = ConfigDict(strict=True)

    object: str
    id: Id | None = None
    customer: Reference = None
    charge: Reference = None


class _Data(BaseModel):
    object: _About


class _Event(BaseModel):
    """The fields of a snapshot event that are read. ``created`` is in seconds, until the year
    9999."""

    model_config = ConfigDict(strict=True)

    id: Id
    type: Annotated[Id, Field(max_length=100)]
    livemode: bool
    created: Annotated[int, Field(ge=0, lt=253_402_300_800)]
    data: _Data


class StripePayments:
    """``POST /v1/customers`` and so on, as https://docs.stripe.com/api describes them.

    ``webhook_secrets`` are all that are valid now: two, while one is replaced by another.
    """

    def __init__(
        self,
        secret_key: str,
        webhook_secrets: Sequence[str],
        api_base: str,
        http_client: HTTPClient | None = None,
    ) -> None:
        self._secrets = tuple(webhook_secrets)
        self._live = "_live_" in secret_key
        self._stripe = StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            http_client=http_client or RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
            max_network_retries=RETRIES,
        ).v1

    def create_customer(self, org_id: str, number: int, name: str, email: str) -> str:
        identity = sha256(f"{name}\0{email}".encode()).hexdigest()[:16]
        with _answering():
            customer = self._stripe.customers.create(
                {"name": name, "email": email, "metadata": {"org_id": org_id}},
                {"idempotency_key": f"customer-{org_id}-{number}-{identity}"},
            )
            return customer.id

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        with _answering():
            customer = self._stripe.customers.retrieve(customer_id)
            if getattr(customer, "deleted", False):
                raise CustomerGone(customer_id)
            found = self._stripe.subscriptions.list({"customer": customer_id, "limit": PAGE})
            return [_subscription(one) for one in found.auto_paging_iter()]

    def subscriptions(self) -> Iterator[Subscription]:
        with _answering():
            for one in self._stripe.subscriptions.list({"limit": PAGE}).auto_paging_iter():
                yield _subscription(one)

    def checkout(
        self,
        org_id: str,
        customer_id: str,
        lines: Sequence[PriceLine],
        success_url: str,
        cancel_url: str,
    ) -> str:
        with _answering():
            for earlier in self._stripe.checkout.sessions.list(
                {"customer": customer_id, "status": "open"}
            ).data:
                self._close(earlier.id)
            session = self._stripe.checkout.sessions.create(
                {
                    "mode": "subscription",
                    "customer": customer_id,
                    "client_reference_id": org_id,
                    "line_items": [
                        {"price": line.price_id}
                        if line.metered
                        else {"price": line.price_id, "quantity": 1}
                        for line in lines
                    ],
                    "subscription_data": {"metadata": {"org_id": org_id}},
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                }
            )
            if session.url is None:
                raise DependencyDown(
                    "The payment provider opened no page. Repeat the request shortly."
                )
            return session.url

    def _close(self, session_id: str) -> None:
        """Expire a checkout. Another call may just have done so. Raises where it was just paid."""
        try:
            self._stripe.checkout.sessions.expire(session_id)
        except stripe.InvalidRequestError:
            if self._stripe.checkout.sessions.retrieve(session_id).status != "expired":
                raise

    def change(
        self, subscription: Subscription, lines: Sequence[PriceLine], return_url: str
    ) -> str:
        (item,), (line,) = subscription.items, lines
        asked: UpdatedItem = {"id": item.id, "price": line.price_id}
        if not line.metered:
            asked["quantity"] = 1
        with _answering(), _allowed_by_the_portal():
            session = self._stripe.billing_portal.sessions.create(
                {
                    "customer": subscription.customer_id,
                    "return_url": return_url,
                    "flow_data": {
                        "type": "subscription_update_confirm",
                        "subscription_update_confirm": {
                            "subscription": subscription.id,
                            "items": [asked],
                        },
                        "after_completion": {
                            "type": "redirect",
                            "redirect": {"return_url": return_url},
                        },
                    },
                }
            )
            return session.url

    def portal(self, customer_id: str, return_url: str) -> str:
        with _answering():
            return self._stripe.billing_portal.sessions.create(
                {"customer": customer_id, "return_url": return_url}
            ).url

    def cancel(self, subscription_id: str) -> None:
        with _answering(), _cancelling_once():
            self._stripe.subscriptions.cancel(subscription_id)

    def customer_of_charge(self, charge_id: str) -> str | None:
        with _answering():
            return _id(self._stripe.charges.retrieve(charge_id).customer)

    def meter(
        self, event_name: str, entry_id: str, customer_id: str, images: int, at: datetime
    ) -> None:
        with _answering(), _counting_once():
            self._stripe.billing.meter_events.create(
                {
                    "event_name": event_name,
                    "identifier": entry_id,
                    "payload": {"stripe_customer_id": customer_id, "value": str(images)},
                    "timestamp": int(at.timestamp()),
                }
            )

    def event(self, payload: bytes, signature: str) -> Event:
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE_SECONDS)
            except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
                continue  # the library compares signatures that are not ASCII with a TypeError
            return self._event(payload)
        raise InvalidSignature("no secret of this endpoint signed it within the last five minutes")

    def _event(self, payload: bytes) -> Event:
        try:
            event = _Event.model_validate_json(payload)
        except ValidationError:
            raise InvalidSignature("it is no event") from None
        if event.livemode != self._live:
            raise InvalidSignature("it is of the other mode, live or test")
        return Event(event.id, event.type, _moment(event.created), _subject(event.data.object))


@contextmanager
def _answering() -> Iterator[None]:
    """Raises CustomerGone, and DependencyDown for all other failures of Stripe."""
    try:
        yield
    except PASSING as error:
        log.warning("payments.down", error=str(error)[:SHOWN_CHARACTERS])
        raise _down() from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing" and error.param in OF_A_CUSTOMER:
            raise CustomerGone(str(error)) from error
        log.error("payments.refused", error=str(error), param=error.param)
        raise _down() from error
    except stripe.StripeError as error:
        log.error("payments.refused", error=str(error))
        raise _down() from error
    except UNREADABLE as error:
        log.exception("payments.unreadable")
        raise _down() from error


@contextmanager
def _allowed_by_the_portal() -> Iterator[None]:
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
def _counting_once() -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError as error:
        if COUNTED_ALREADY not in str(error):
            raise


@contextmanager
def _cancelling_once() -> Iterator[None]:
    """Stripe does not find a subscription that has ended when it is to end again."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise


def _down() -> DependencyDown:
    return DependencyDown(
        "The payment provider does not answer just now. Nothing was bought or changed; repeat the "
        "request shortly.",
        retry_after=RETRY_AFTER_SECONDS,
    )


def _subscription(given: stripe.Subscription) -> Subscription:
    items = [
        SubscriptionItem(item.id, item.price.id, _moment(item.current_period_end))
        for item in given.items.data
    ]
    end = (
        max((item.period_end for item in items), default=None)
        if given.cancel_at_period_end
        else None
    )
    return Subscription(
        id=given.id,
        customer_id=_id(given.customer) or "",
        status=given.status,
        items=items,
        created_at=_moment(given.created),
        cancel_at=_moment(given.cancel_at) if given.cancel_at else end,
    )


def _subject(about: _About) -> str | None:
    """The id of the charge that a dispute is about; all other events that we listen to are about a
    customer."""
    match about.object:
        case "customer":
            return about.id
        case "dispute":
            return about.charge
    return about.customer


def _id(thing: Any) -> str | None:
    """The id of what is given by its id, or whole."""
    return thing if isinstance(thing, str) or thing is None else str(thing.id)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
