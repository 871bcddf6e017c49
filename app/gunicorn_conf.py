"""gunicorn's settings: ``gunicorn -c python:app.gunicorn_conf wsgi:app``. WEB_CONCURRENCY sets the
processes (1).

One process by default, because its imaging pool already uses every core.
"""

from typing import Any

from app.adapters.mail import warn_without_mail
from app.config import ConfigurationError, Settings
from app.lifetime import end_with

try:
    _settings = Settings.from_env()
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

bind = f"{_settings.host}:{_settings.port}"
worker_class = "app.http_worker.HttpWorker"
worker_connections = 8000
backlog = 2048
keepalive = 20
timeout = 60
graceful_timeout = 20
control_socket_disable = True
loglevel = _settings.log_level.lower()
asgi_loop = "asyncio"
asgi_lifespan = "off"
asgi_disconnect_grace_period = 24 * 3600
"""Seconds after a disconnect until gunicorn cancels the request's task in the middle of its work.
Long, because our task ends by itself when the client has gone."""
http_parser = "python"


def post_fork(server: Any, _worker: Any) -> None:
    """End the worker with its parent: otherwise it would hold the port after the parent was
    killed."""
    end_with(server.pid)


def post_worker_init(worker: Any) -> None:
    """Start the imaging processes before the first request needs them."""
    warn_without_mail(_settings)
    worker.wsgi.extensions["lightwell"].imaging.warm()


def worker_exit(_server: Any, worker: Any) -> None:
    worker.wsgi.extensions["lightwell.measures"].flush()
    worker.wsgi.extensions["lightwell"].close()
