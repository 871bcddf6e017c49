"""HTML pages, which may load files from this server and its object store only, and run no script in
the page itself."""

from secrets import token_urlsafe
from typing import Any

from flask import Response, make_response, render_template, request

from app.web.context import container

POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'nonce-{nonce}'",
    "style-src": "'self'",
    "font-src": "'self'",
    "img-src": "'self' data: blob:{storage}",
    "connect-src": "'self'{storage}",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
STOP_POLLING = "286 Stop polling"
"""The status of a part of a page that tells htmx: swap this in, and ask no more
(https://htmx.org/docs/#polling)."""
THEMES = frozenset({"light", "dark"})


def page(template: str, *, policy: dict[str, str] | None = None, **values: Any) -> Response:
    """Render a page. ``policy`` replaces directives of the Content-Security-Policy."""
    nonce = token_urlsafe(16)
    response = make_response(render_template(template, nonce=nonce, theme=theme(), **values))
    directives = {**POLICY, **(policy or {})}
    response.headers["Content-Security-Policy"] = "; ".join(
        f"{name} {sources}" for name, sources in directives.items()
    ).format(nonce=nonce, storage=_storage_source())
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Cookie")
    return response


def _storage_source() -> str:
    origin = container().storage.origin
    return f" {origin}" if origin else ""


def theme() -> str:
    """The theme that the visitor has chosen; empty where the system's holds."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else ""
