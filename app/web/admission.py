"""Decide from the headers whether a request may send its body, for a server that reads the whole
body before it spends a thread on the request.

That server first calls the application without the body and with ``ADMISSION_KEY`` in the environ.
Requests that their headers alone rule out are refused then, by the usual rules and in the usual
format: an unknown key, a plan without the API, a missing scope, a wrong Content-Type, more bytes
than the plan allows. Otherwise the server learns how many bytes the body may have. Other servers
read the body while the application runs and do not need this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.web import media
from app.web.request import JSON_BYTES
from app.web.requirements import authorize, hide_console, identify

View = TypeVar("View", bound=Callable[..., Any])
ADMISSION_KEY = "lightwell.asked"


@dataclass
class Admission:
    """``max_bytes`` is the most that the body may have; None if the request is refused."""

    max_bytes: int | None = None


def before_body(check: Callable[..., object]) -> Callable[[View], View]:
    """Declare that the view refuses some requests by their headers: ``check``, called with the
    view's arguments, raises the same errors.

    It may set the request's ``max_content_length``.
    """

    def mark(view: View) -> View:
        view.before_body = check  # type: ignore[attr-defined]  # read by begin()
        return view

    return mark


def begin() -> Response | None:
    """Answer an admission request. It does not count against the rate limit; the request itself
    does."""
    asked: Admission | None = request.environ.get(ADMISSION_KEY)
    if asked is None:
        return None
    identify()
    hide_console()
    if request.routing_exception:
        raise request.routing_exception
    if led_elsewhere := authorize():
        return cast(Response, led_elsewhere)
    media.check()
    check = getattr(current_app.view_functions[request.endpoint or ""], "before_body", None)
    if check:
        check(**request.view_args or {})
    most = request.max_content_length or JSON_BYTES
    if (request.content_length or 0) > most:
        raise RequestEntityTooLarge
    asked.max_bytes = most
    return Response(status=204)
