"""How Stripe refuses: a type, a code, a sentence, and the parameter that is wrong."""

from typing import Literal

Kind = Literal["invalid_request_error", "card_error", "idempotency_error", "api_error"]


class FakeStripeError(Exception):
    """A refusal as Stripe would answer it; ``status`` is HTTP's."""

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
    """What is asked cannot be done in this state."""
    return FakeStripeError("invalid_request_error", code, message, param=param)


def missing(noun: str, object_id: str, param: str = "id") -> FakeStripeError:
    """Stripe knows no such thing: 404 where the path names it, 400 where a parameter does."""
    message, status = f"No such {noun}: '{object_id}'", 404 if param == "id" else 400
    return FakeStripeError("invalid_request_error", "resource_missing", message, status, param)


def declined() -> FakeStripeError:
    return FakeStripeError("card_error", "card_declined", "Your card was declined.", 402)
