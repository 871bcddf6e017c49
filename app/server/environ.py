"""Convert an ASGI scope to a WSGI environ (PEP 3333), as gunicorn's own WSGI workers build it."""

import sys
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from app.server.types import Scope


def path_of(scope: Scope) -> str:
    """Return the path in WSGI's form: unescaped bytes decoded as Latin-1. The absolute form
    ``http://host/path``, which proxies send, is accepted too."""
    path: bytes = scope["raw_path"]
    if path[:1] != b"/" and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return unquote_to_bytes(path).decode("latin-1")


def environ_of(scope: Scope, body: BinaryIO, size: int | None) -> dict[str, Any]:
    """``size`` is the body's size if all of it has arrived; None keeps the request's own framing
    headers."""
    host, port = scope.get("server") or ("", 0)
    client = scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path_of(scope),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for key, value in scope["headers"]:
        if b"_" not in key:  # otherwise X_Forwarded_For could spoof X-Forwarded-For
            _add(environ, key.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1"))
    if size is not None and environ.pop("HTTP_TRANSFER_ENCODING", None):
        environ["CONTENT_LENGTH"] = str(size)
    return environ


def _add(environ: dict[str, Any], name: str, value: str) -> None:
    if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        name = f"HTTP_{name}"
    if name in environ:
        value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
    environ[name] = value
