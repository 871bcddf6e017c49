"""Adds the request id and security headers to every answer, and logs every request."""

import time

import structlog
from flask import Response, g, request

from app.web.admission import ADMISSION_KEY
from app.web.request import api_request

log = structlog.get_logger()

QUIET_ENDPOINTS = frozenset(
    {"health.healthz", "health.readyz", "static_files.file", "docs.favicon"}
)
SECRET = ("/storage/", "/confirm/", "/reset/", "/invitations/", "/account/email/")
"""Below these, paths are secrets: anyone who reads one could use it."""
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"


def begin() -> None:
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=api_request().id)


def finish(response: Response) -> Response:
    """Add the headers of every surface. A page that needs a wider content security policy sets its
    own before."""
    current = api_request()
    response.headers["X-Request-Id"] = current.id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    response.call_on_close(current.discard_spool)
    if request.endpoint not in QUIET_ENDPOINTS and not _only_asked(response):
        log.info(
            "request",
            method=request.method,
            path=_path(),
            status=response.status_code,
            milliseconds=round((time.perf_counter() - g.began) * 1000, 1),
        )
    return response


def _only_asked(response: Response) -> bool:
    """The request itself follows and is logged then."""
    return ADMISSION_KEY in request.environ and response.status_code < 400


def _path() -> str:
    """Return the path for the log, without what is secret."""
    start = next((start for start in SECRET if request.path.startswith(start)), None)
    return f"{start}…" if start else request.path
