"""Stripe's errors: a type, a code, a message, and the wrong parameter."""

from typing import Literal

Kind = Literal["invalid_request_error", "card_error", "idempotency_error", "api_error"]


class FakeStripeError(Exception):
    """An error as Stripe answers it; ``status`` is the HTTP status."""

    def __init__(
        self,
        kind: Kind,
        code: str | None,
        message: str,
        status: int = 400,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.status = status
        self.param = param


def refused(message: str, param: str | None = None, code: str | None = None) -> FakeStripeError:
    """The request is not possible in this state."""
    return FakeStripeError("invalid_request_error", code, message, param=param)


def missing(noun: str, object_id: str, param: str = "id") -> FakeStripeError:
    """The object does not exist: 404 if the path names it, 400 if a parameter does."""
    message, status = f"No such {noun}: '{object_id}'", 404 if param == "id" else 400
    return FakeStripeError("invalid_request_error", "resource_missing", message, status, param)


def declined() -> FakeStripeError:
    return FakeStripeError("card_error", "card_declined", "Your card was declined.", 402)
