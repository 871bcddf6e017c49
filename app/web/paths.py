"""Normalises paths that clients joined carelessly: ``/usage/`` and ``//usage`` mean ``/usage``."""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SLASHES = re.compile(r"/{2,}")


def plain(path: str) -> str:
    """Return the path with single slashes and none at its end. Signed tokens contain no slashes, so
    they do not change."""
    return SLASHES.sub("/", path).rstrip("/") or "/"


class PlainPaths:
    """WSGI middleware that gives the application normalised paths only.

    A redirect would lose the body of many clients' POSTs, and a second spelling could count as
    another path in limits, logs and idempotency.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = plain(environ.get("PATH_INFO", ""))
        return self._app(environ, start_response)
