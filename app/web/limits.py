"""Requests per second, by key and plan; without a valid key, by address.

The count lives in Redis, so all processes share it. When Redis does not answer, reads go on unlimited and everything
else is refused with 503: a lost limit must not become a lost service, nor free work (docs/decisions/003).
"""

import math
import time
from functools import partial

import structlog
from flask import Flask, Response, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from redis.exceptions import RedisError

from app.adapters.redis import connection_options
from app.errors import DependencyDown
from app.web.authentication import READING, authentication_of_view
from app.web.context import toolbox

log = structlog.get_logger()

UNLIMITED = frozenset({"delivery", "published", "docs", "health", "webhooks"})


def caller() -> str:
    return f"key:{g.principal.key_id}" if g.principal else f"address:{get_remote_address()}"


def rate() -> str:
    """The limit of this caller, in the notation of the limits library."""
    if g.principal is None:
        return toolbox().settings.ratelimit_anonymous
    if not g.principal.is_live:
        return toolbox().settings.ratelimit_test_keys
    return f"{g.principal.allowance.requests_per_second}/second"


class PlanLimiter(Limiter):
    """Flask-Limiter, with our answer to a Redis that is down."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except RedisError as error:
            log.error("limits.redis_down", error=str(error))
            if request.method not in READING:
                raise DependencyDown("Rate limits cannot be checked just now. Repeat the request shortly.") from error


def _is_unlimited() -> bool:
    """Pages, health checks and preflights cost nothing; a page of thumbnails is 200 URLs of files at once.

    The payment provider sends what it has to say in bursts, from few addresses.
    """
    return authentication_of_view() is None or request.blueprint in UNLIMITED


def init_app(app: Flask) -> None:
    settings = app.extensions["lightwell"].settings
    limiter = PlanLimiter(
        caller,
        application_limits=[rate],
        strategy="moving-window",
        key_prefix="lightwell",
        storage_uri=settings.redis_url,
        storage_options=connection_options(settings),
    )
    limiter.request_filter(_is_unlimited)
    limiter.init_app(app)
    app.after_request(partial(add_headers, limiter))


def add_headers(limiter: Limiter, response: Response) -> Response:
    """Tell the caller what is left: draft-ietf-httpapi-ratelimit-headers, and the older X-RateLimit trio."""
    current = limiter.current_limit
    if current is None:
        return response
    amount, window = current.limit.amount, current.limit.get_expiry()
    try:
        reset_at, remaining = current.window
    except RedisError:
        return response
    seconds = max(1, math.ceil(reset_at - time.time())) if remaining < amount else 0
    response.headers["RateLimit-Policy"] = f'"default";q={amount};w={window}'
    response.headers["RateLimit"] = f'"default";r={remaining};t={seconds}'
    response.headers["X-RateLimit-Limit"] = str(amount)
    response.headers["X-RateLimit-Remaining"] = str(remaining)
    response.headers["X-RateLimit-Reset"] = str(math.ceil(reset_at))
    if current.breached:
        response.headers["Retry-After"] = str(max(1, seconds))
    return response
