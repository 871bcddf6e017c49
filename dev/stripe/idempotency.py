"""``Idempotency-Key``: a repeated request gets the first one's answer, including errors.

As with Stripe, answers to requests that were not understood are not kept. A repetition waits until
the first request has finished.
"""

import hashlib
from collections.abc import Callable

from flask import Response, request

from dev.stripe.errors import FakeStripeError
from dev.stripe.store import Store

KEPT = "kept_answer"


def once(store: Store, answer: Callable[[], Response]) -> Response:
    """Return the answer kept for the request's key, else a new one. Raises FakeStripeError if the
    key was used for another request."""
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST":
        return answer()
    asked = hashlib.sha256(repr((request.path, sorted(request.form.items()))).encode()).hexdigest()
    with store.alone():
        if (kept := store.get(KEPT, key)) is None:
            response = answer()
            body = response.get_data(as_text=True)
            store.put(
                KEPT, {"id": key, "asked": asked, "status": response.status_code, "body": body}
            )
            return response
    if kept["asked"] != asked:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were "
            "first used with."
        )
        raise FakeStripeError(
            "idempotency_error", None, f"{message} Try using a key other than '{key}'."
        )
    replayed = Response(kept["body"], kept["status"], mimetype="application/json")
    replayed.headers["Idempotent-Replayed"] = "true"
    return replayed
