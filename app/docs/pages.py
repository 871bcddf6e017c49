"""The playground, the pages about plans and errors, ``openapi.json``, ``robots.txt``, and the files
that the pages load.

No page loads anything from another host.
"""

import gzip
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_openapi import OpenAPI
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from app.docs import postman
from app.errors import AppError, NotFound
from app.extensions import transaction
from app.models import Plan
from app.web.context import container
from app.web.requirements import Nothing, requires

blueprint = Blueprint("docs", __name__)

SCALAR = (
    Path(str(files("flask_openapi_scalar")))
    / "templates"
    / "scalar"
    / "js"
    / "scalar.standalone.js"
)
ASSETS = {
    "scalar.js": (SCALAR, "text/javascript"),
    "docs.css": (Path(__file__).parent / "assets" / "docs.css", "text/css"),
    "lightwell.svg": (Path(__file__).parent / "assets" / "lightwell.svg", "image/svg+xml"),
    "favicon.ico": (Path(__file__).parent / "assets" / "favicon.ico", "image/vnd.microsoft.icon"),
}
ROBOTS = """User-agent: *
Disallow: /account
Disallow: /auth/
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
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
    "blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PLAYGROUND: dict[str, Any] = {
    "agent": {"disabled": True},
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

RETURNS = {
    ("checkout", "done"): "Thank you. The plan changes within seconds; GET /usage shows it.",
    ("checkout", "cancelled"): "Nothing was bought.",
    ("portal", "done"): "Welcome back. What you changed shows in GET /usage within seconds.",
}
"""Notices for a customer who returns from the payment provider, by query parameter and value."""


@blueprint.get("/")
@requires(Nothing())
def home() -> BaseResponse:
    return redirect(url_for("docs.playground"))


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
    return asset("favicon.ico")


@blueprint.get("/docs")
@requires(Nothing())
def playground() -> Response:
    return _page("docs/playground.html", configuration=PLAYGROUND)


@blueprint.get("/docs/billing")
@requires(Nothing())
def billing() -> Response:
    """What the plans cost and allow, and how to change them. Plans made for one customer are not
    shown."""
    with transaction() as session:
        plans = session.scalars(select(Plan).where(Plan.listed).order_by(Plan.position)).all()
    notices = [RETURNS[arrival] for arrival in request.args.items() if arrival in RETURNS]
    settings = container().settings
    return _page(
        "docs/billing.html",
        plans=plans,
        notices=notices,
        grace_days=settings.billing_grace_days,
        test_keys=settings.ratelimit_test_keys,
        test_images=settings.test_images_per_day,
        size=_size,
    )


def _size(megabytes: int) -> str:
    """Format a size such as ``1 GB`` or ``1 TB``, in the largest unit that gives a whole number."""
    for bytes_each, unit in ((1024 * 1024, "TB"), (1024, "GB")):
        if megabytes % bytes_each == 0 and megabytes:
            return f"{megabytes // bytes_each} {unit}"
    return f"{megabytes} MB"


@blueprint.get("/docs/errors")
@requires(Nothing())
def error_index() -> Response:
    kinds = sorted(AppError.catalogue().values(), key=lambda kind: (kind.status, kind.code))
    return _page("docs/errors.html", kinds=kinds)


@blueprint.get("/docs/errors/<code>")
@requires(Nothing())
def error_page(code: str) -> Response:
    """What an error means and what to do; the ``type`` of every error body leads here."""
    kind = AppError.catalogue().get(code)
    if kind is None:
        raise NotFound("There is no error with this code.")
    return _page("docs/error.html", kind=kind)


@blueprint.get("/docs/assets/<name>")
@requires(Nothing())
def asset(name: str) -> Response:
    if name not in ASSETS:
        raise NotFound("There is no such file.")
    path, mimetype = ASSETS[name]
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(_compressed(path) if zipped else path.read_bytes(), mimetype=mimetype)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = CACHED
    response.add_etag()
    response.make_conditional(request)
    return response


@lru_cache
def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)


def _page(template: str, **values: Any) -> Response:
    response = make_response(render_template(template, **values))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
