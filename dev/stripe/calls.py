"""The conventions of Stripe's API: form requests, JSON answers, a key as ``Authorization: Bearer``,
one error format."""

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import cast

from flask import Blueprint, Response, current_app, jsonify, request

from dev.stripe import idempotency
from dev.stripe.errors import FakeStripeError, missing
from dev.stripe.forms import BadParameter, Form, read
from dev.stripe.objects import API_VERSION, listed
from dev.stripe.state import FakeStripe
from dev.stripe.store import Document

View = Callable[..., Document]
DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100


class StripeBlueprint(Blueprint):
    """A blueprint of API calls. Each needs the key, and answers as Stripe does."""

    def __init__(self, name: str, import_name: str, url_prefix: str) -> None:
        super().__init__(name, import_name, url_prefix=url_prefix)
        self.before_request(authenticate)
        self.after_request(identify)
        self.register_error_handler(FakeStripeError, refuse)
        self.add_url_rule(
            "/<path:_rest>", "unknown", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
        )

    def call(self, method: str, path: str) -> Callable[[View], View]:
        """The view takes the request's Form before the ids in its path, and returns a document."""

        def register(view: View) -> View:
            def answer(**ids: str) -> Response:
                form = read((request.form if method == "POST" else request.args).items())
                return idempotency.once(state().journal.store, lambda: _answer(view, form, ids))

            self.add_url_rule(path, view.__name__, answer, methods=[method])
            return view

        return register

    def retrieve(self, kind: str, path: str) -> None:
        """Add ``GET`` of objects of a kind by id."""

        def view(form: Form, object_id: str) -> Document:
            form.close()
            return state().journal.find(kind, object_id)

        view.__name__ = f"retrieve_{kind}"
        self.call("GET", f"{path}/<object_id>")(view)


def state() -> FakeStripe:
    return cast(FakeStripe, current_app.extensions["state"])


def authenticate() -> Response | None:
    """Like Stripe, do not repeat a wrong key in full."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer" and hmac.compare_digest(
        key.encode(), current_app.config["API_KEY"].encode()
    ):
        return None
    message = (
        f"Invalid API Key provided: {key[:8]}****" if key else "You did not provide an API key."
    )
    return refuse(FakeStripeError("invalid_request_error", None, message, 401))


def identify(response: Response) -> Response:
    response.headers["Request-Id"] = f"req_{secrets.token_hex(7)}"
    response.headers["Stripe-Version"] = API_VERSION
    return response


def refuse(error: FakeStripeError) -> Response:
    told = {"type": error.kind, "code": error.code, "message": error.message, "param": error.param}
    response = jsonify(
        {"error": {name: value for name, value in told.items() if value is not None}}
    )
    response.status_code = error.status
    return response


def unknown(_rest: str) -> Response:
    message = f"Unrecognized request URL ({request.method}: {request.path})."
    return refuse(FakeStripeError("invalid_request_error", None, message, 404))


def page(form: Form, found: Sequence[Document]) -> Document:
    """Return the ``limit`` newest documents after ``starting_after``. Closes the form."""
    limit, after = form.number("limit"), form.text("starting_after")
    form.close()
    if limit is None:
        limit = DEFAULT_PAGE_SIZE
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise BadParameter(
            "parameter_invalid_integer", f"limit must be 1 to {MAX_PAGE_SIZE}.", "limit"
        )
    newest = list(reversed(found))
    if after is not None:
        ids = [document["id"] for document in newest]
        if after not in ids:
            raise missing("object", after, "starting_after")
        newest = newest[ids.index(after) + 1 :]
    return listed(newest[:limit], request.path, has_more=len(newest) > limit)


def _answer(view: View, form: Form, ids: dict[str, str]) -> Response:
    """Errors are kept under the idempotency key too, except for requests that were not
    understood."""
    try:
        return jsonify(view(form, **ids))
    except BadParameter:
        raise
    except FakeStripeError as error:
        return refuse(error)
