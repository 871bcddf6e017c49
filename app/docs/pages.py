"""The API reference, which is a playground too, the pages about errors, and files for programs."""

from typing import Any, cast

from flask import Blueprint, Response, current_app, request
from flask_openapi import OpenAPI

from app.docs import postman
from app.errors import AppError, NotFound
from app.models import Role
from app.services.accounts.permissions import LOWEST_ROLES
from app.web import static_files
from app.web.pages import page, theme
from app.web.requirements import Nothing, Visitor, requires

blueprint = Blueprint("pages", __name__)

ROBOTS = """User-agent: *
Disallow: /account
Disallow: /auth/
Disallow: /dashboard
Disallow: /compress/
Disallow: /usage
Disallow: /billing/
Disallow: /v1/
Disallow: /api/
Disallow: /storage/
Disallow: /published/
Disallow: /webhooks/
"""
"""Search engines may index the pages, but not accounts, customers' images or the API."""
CACHED = "public, max-age=86400"
SCALAR_POLICY = {
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
}
"""The playground writes styles into the page and shows pictures that it fetched."""
PLAYGROUND_STYLE = """
.light-mode, .dark-mode {
  --scalar-custom-header-height: 3.8125rem;
  --scalar-font: var(--sans);
  --scalar-font-code: var(--mono);
  --scalar-background-1: var(--ground);
  --scalar-background-2: var(--surface);
  --scalar-background-3: var(--sunken);
  --scalar-background-accent: var(--light-wash);
  --scalar-border-color: var(--line);
  --scalar-color-1: var(--ink);
  --scalar-color-2: var(--ink-2);
  --scalar-color-3: var(--ink-3);
  --scalar-color-accent: var(--light-ink);
  --scalar-sidebar-background-1: var(--ground);
}
"""
"""The playground in the colours of the other pages."""
PLAYGROUND: dict[str, Any] = {
    "agent": {"disabled": True},
    "customCss": PLAYGROUND_STYLE,
    "hideDarkModeToggle": True,
    "authentication": {"preferredSecurityScheme": "bearer"},
    "defaultHttpClient": {"targetKey": "shell", "clientKey": "curl"},
    "hideClientButton": True,
    "mcp": {"disabled": True},
    "persistAuth": False,
    "proxyUrl": "",
    "showDeveloperTools": "never",
    "telemetry": False,
    "withDefaultFonts": False,
}
"""Scalar without requests to other hosts: no fonts, telemetry, agent or proxy."""


@blueprint.get("/openapi.json")
@requires(Nothing())
def openapi() -> dict[str, Any]:
    """The description of the whole API (OpenAPI 3.1)."""
    return cast(OpenAPI, current_app).api_doc


@blueprint.get("/docs/postman.json")
@requires(Nothing())
def postman_collection() -> dict[str, Any]:
    """The same as a Postman collection, whose requests go to the server that it came from."""
    return postman.collection(openapi(), request.host_url.rstrip("/"))


@blueprint.get("/robots.txt")
@requires(Nothing())
def robots() -> Response:
    return Response(ROBOTS, mimetype="text/plain", headers={"Cache-Control": CACHED})


@blueprint.get("/favicon.ico")
@requires(Nothing())
def favicon() -> Response:
    """Where browsers look for it when a page, such as an answer of the API, names none."""
    return static_files.answer("favicon.ico", CACHED)


@blueprint.get("/docs")
@requires(Visitor())
def playground() -> Response:
    chosen = {"forceDarkModeState": theme()} if theme() else {}
    return page("docs/playground.html", policy=SCALAR_POLICY, configuration=PLAYGROUND | chosen)


@blueprint.get("/docs/roles")
@requires(Visitor())
def roles() -> Response:
    """What each role in an organization may do."""
    return page("docs/roles.html", roles=list(Role), lowest_roles=LOWEST_ROLES)


@blueprint.get("/docs/errors")
@requires(Visitor())
def error_index() -> Response:
    kinds = sorted(AppError.catalogue().values(), key=lambda kind: (kind.status, kind.code))
    return page("docs/errors.html", kinds=kinds)


@blueprint.get("/docs/errors/<code>")
@requires(Visitor())
def error_page(code: str) -> Response:
    """What an error means and what to do; the ``type`` of every error body leads here."""
    kind = AppError.catalogue().get(code)
    if kind is None:
        raise NotFound("There is no error with this code.")
    return page("docs/error.html", kind=kind)
