"""Paths as clients join them: ``/usage/`` and ``//usage`` mean ``/usage``."""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SLASHES = re.compile(r"/{2,}")


def plain(path: str) -> str:
    """The path with single slashes and none at its end. What signed URLs sign has no slash in it,
    so it stays."""
    return SLASHES.sub("/", path).rstrip("/") or "/"


class PlainPaths:
    """Has the application see plain paths only, before anything of it looks at one.

    A redirect would lose the body of many a client's POST, and a second spelling could be a second
    name for limits, logs and idempotency.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = plain(environ.get("PATH_INFO", ""))
        return self._app(environ, start_response)
