"""May a request send its body? Asked by a server that takes the whole body before it spends a
thread on the request.

Such a server calls the application first without the body and with ``ASKED`` in the environ. What
the headers alone are refused for is answered then, by the same rules and in the same form as ever:
an unknown key, a plan without the API, a missing scope, another Content-Type, more bytes than the
plan takes. Else it is told how many bytes may come. Any other server reads the body while the
application runs, and needs none of this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.web import media
from app.web.request import JSON_BYTES
from app.web.requirements import authorize, identify

View = TypeVar("View", bound=Callable[..., Any])
ASKED = "lightwell.asked"


@dataclass
class Admission:
    """``most_bytes`` is what the body may have; None where the answer is a refusal."""

    most_bytes: int | None = None


def before_body(check: Callable[..., object]) -> Callable[[View], View]:
    """The view refuses some requests by their headers: ``check``, called with its arguments, raises
    what it would.

    It may set the request's ``max_content_length``.
    """

    def mark(view: View) -> View:
        view.before_body = check  # type: ignore[attr-defined]  # read by begin()
        return view

    return mark


def begin() -> Response | None:
    """Answer a request that only asks. The rate limit comes with the request itself."""
    asked: Admission | None = request.environ.get(ASKED)
    if asked is None:
        return None
    if request.routing_exception:
        raise request.routing_exception
    identify()
    authorize()
    media.check()
    check = getattr(current_app.view_functions[request.endpoint or ""], "before_body", None)
    if check:
        check(**request.view_args or {})
    most = request.max_content_length or JSON_BYTES
    if (request.content_length or 0) > most:
        raise RequestEntityTooLarge
    asked.most_bytes = most
    return Response(status=204)
