"""Renders the fake Stripe's pages, with their headers and links."""

from typing import Any

from flask import Response, make_response, render_template, request

from dev.stripe.actions import ACTIONS

# No form-action: Chromium applies it to redirects too, and a form may redirect to any URL of its
# session.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # a session's URL gives access to it
    "Cache-Control": "no-store",
}
DONE = {
    "card": "The card is updated.",
    "changed": "The plan is changed.",
    "cancelled": "The subscription is cancelled.",
    "declined": "The card was declined.",
    "deleted": "The customer is deleted.",
    "disputed": "The last charge is disputed.",
    "same": "That is the present plan.",
} | {name: action.done for name, action in ACTIONS.items()}
"""What a page says after an action, by the code in its address."""


def page(template: str, status: int = 200, **values: Any) -> Response:
    notice = DONE.get(request.args.get("done", ""))
    return make_response(
        render_template(f"{template}.html", notice=notice, **values), status, HEADERS
    )


def message(heading: str, text: str, status: int = 200, way_on: str | None = None) -> Response:
    """Render a message with a link to ``way_on``, or to the start page."""
    return page("message", status, heading=heading, text=text, way_on=way_on)


def web_address(url: str | None) -> str | None:
    """Return ``url`` if a page may link to it: only http and https, never a script."""
    return url if url and url.startswith(("http://", "https://")) else None
