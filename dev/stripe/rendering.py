"""How a page of the fake Stripe is made: its template, its headers, and where it may lead."""

from typing import Any

from flask import Response, make_response, render_template, request

from dev.stripe.actions import ACTIONS

# No form-action: Chromium holds it against redirects too, and a form may lead back to wherever its
# session says.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # whoever has the address of a session may use it
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
    """A page that says one thing and leads on: to ``way_on``, or to the start page."""
    return page("message", status, heading=heading, text=text, way_on=way_on)


def web_address(url: str | None) -> str | None:
    """An address that a page may lead to: http and https alone, so never a script."""
    return url if url and url.startswith(("http://", "https://")) else None
