"""gunicorn's settings: ``gunicorn -c python:app.gunicorn_conf wsgi:app``. WEB_CONCURRENCY sets the processes (1).

Threads, because a request mostly waits: for its upload, its child processes, its download. One process by default,
because its pool of children already uses every core.
"""

from typing import Any

from app.config import ConfigurationError, Settings
from app.lifetime import end_with

try:
    _settings = Settings.from_env()
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

bind = f"{_settings.host}:{_settings.port}"
worker_class = "app.http_worker.HttpWorker"
threads = _settings.web_threads
keepalive = 20
timeout = 60
graceful_timeout = 20
control_socket_disable = True
loglevel = _settings.log_level.lower()


FORM_READ_BYTES = 64 * 1024
"""What Werkzeug's form parser reads at a time. gunicorn receives 1 MB by itself and copies the rest of it for each of
those reads; receiving what is asked for halves the web process's work on an upload (19.5 to 9.5 ms for 4 MB)."""


def pre_request(_worker: Any, request: Any) -> None:
    """A client that stops in the middle of its upload or download must not hold a thread for ever."""
    request.unreader.sock.settimeout(_settings.client_timeout_seconds)
    request.unreader.max_body_chunk = FORM_READ_BYTES


def post_fork(server: Any, _worker: Any) -> None:
    """A worker that outlived its killed parent would hold the port, to finish what nobody waits for."""
    end_with(server.pid)


def post_worker_init(worker: Any) -> None:
    """Start the imaging children before the first request needs them."""
    worker.wsgi.extensions["lightwell"].imaging.warm()


def worker_exit(_server: Any, worker: Any) -> None:
    worker.wsgi.extensions["lightwell"].close()
