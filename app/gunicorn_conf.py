"""gunicorn's settings: ``gunicorn -c python:app.gunicorn_conf wsgi:app``. WEB_CONCURRENCY sets the
processes (1).

One process by default, because its imaging pool already uses every core.
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
"""Seconds after which gunicorn would cancel what it takes for an answer's task, in the middle of
its work. Ours ends by itself once the client has gone."""
http_parser = "python"


def post_fork(server: Any, _worker: Any) -> None:
    """A worker that outlived its killed parent would hold the port, to finish what nobody waits
    for."""
    end_with(server.pid)


def post_worker_init(worker: Any) -> None:
    """Start the imaging processes before the first request needs them."""
    worker.wsgi.extensions["lightwell"].imaging.warm()


def worker_exit(_server: Any, worker: Any) -> None:
    worker.wsgi.extensions["lightwell"].close()
