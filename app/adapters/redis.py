"""The connection to Redis or Valkey, which limits and queues share."""

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.config import Settings

TIMEOUT_SECONDS = 0.5


def connect(settings: Settings, *, timeout: float | None = TIMEOUT_SECONDS) -> Redis:
    """A client that gives up within ``timeout`` seconds instead of holding a request back; lazy
    until first used.

    A worker waits for jobs and passes None.
    """
    return Redis.from_url(settings.redis_url, **connection_options(settings, timeout))


def connection_options(
    settings: Settings, timeout: float | None = TIMEOUT_SECONDS
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.redis_url.startswith("rediss://") and not settings.redis_tls_verify:
        options["ssl_cert_reqs"] = "none"
    return options
