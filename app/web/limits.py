"""How often somebody may ask: by key, by organization and mode, and by address
(docs/decisions/018).

The counts live in Redis, so all processes share them. When Redis does not answer, reads go on
unlimited and everything else is refused with 503: a lost limit must not become a lost service, nor
free work (docs/decisions/003).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from limits import parse_many
from redis.exceptions import RedisError

from app.adapters.redis import connection_options
from app.errors import DependencyDown
from app.web import bucket
from app.web.context import container
from app.web.requirements import READING, required

View = TypeVar("View", bound=Callable[..., Any])
log = structlog.get_logger()

UNLIMITED = frozenset({"delivery", "published", "docs", "health", "webhooks"})
KEYS_OF_AN_ORGANIZATION = 5
"""An organization's keys of one mode may together ask so many times as often as one of them."""
BURST_SECONDS = 10
"""So many seconds of a plan's rate may come at once, where the second is not itself the limit."""
ROTATIONS = "5/minute"
SECONDS_COUNT = "/api/v1/"
"""Here no second may have more requests than the plan says: its clients were promised that."""


def opens_accounts(view: View) -> View:
    """The view opens an account: it is limited by network, and for the whole server."""
    view.limited_as = "registration"  # type: ignore[attr-defined]  # read by _is()
    return view


def rotates_keys(view: View) -> View:
    """The view replaces a key: an organization may do that now and then."""
    view.limited_as = "rotation"  # type: ignore[attr-defined]  # read by _is()
    return view


def _is(kind: str) -> bool:
    view = current_app.view_functions[request.endpoint or ""]
    return getattr(view, "limited_as", None) == kind


# ── who is counted ────────────────────────────────────────────────────────────────────────────────


def key() -> str:
    """The key, with all that it has replaced: rotation must not fill anything up again. Or a
    user."""
    return f"key:{g.principal.rate_limit_id}"


def organization() -> str:
    return f"org:{g.principal.org_id}:{g.principal.mode}"


def owner() -> str:
    return f"org:{g.principal.org_id}"


def network(ipv4_bits: int) -> str:
    """The caller's address; in IPv6 its /64, which is the least that one customer of a provider
    has."""
    address = get_remote_address()
    try:
        ip = ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return f"address:{ip_network(f'{ip}/{ipv4_bits if ip.version == 4 else 64}', strict=False)}"
    except ValueError:
        return f"address:{address}"


# ── how many: in the notation of the limits library, empty where the limit does not hold ──────────


def without_a_key() -> str:
    return "" if g.principal else container().settings.ratelimit_anonymous


def in_a_window(keys: int) -> str:
    """Of ``keys`` keys together: test keys by setting, live ones by the second where seconds
    count."""
    if g.principal is None:
        return ""
    if not g.principal.is_live:
        return _times(keys, container().settings.ratelimit_test_keys)
    if request.path.startswith(SECONDS_COUNT):
        return f"{keys * g.principal.allowance.requests_per_second} per second"
    return ""


def in_a_bucket(keys: int) -> str:
    """Of ``keys`` live keys together, wherever they ask: what is fetched on one surface is missing
    on the other."""
    if g.principal is None or not g.principal.is_live:
        return ""
    return (
        f"{keys * BURST_SECONDS * g.principal.allowance.requests_per_second} per {BURST_SECONDS} "
        "seconds"
    )


def rotations() -> str:
    """A key that may not rotate itself must not keep the others from it."""
    return ROTATIONS if g.principal and "write" in g.principal.scopes and _is("rotation") else ""


def registrations() -> str:
    return container().settings.ratelimit_registrations if _is("registration") else ""


def server_registrations() -> str:
    return container().settings.ratelimit_server_registrations if _is("registration") else ""


def _times(factor: int, rate: str) -> str:
    return ";".join(
        f"{factor * one.amount} per {one.multiples} {one.GRANULARITY.name}"
        for one in parse_many(rate)
    )


@dataclass(frozen=True)
class Rule:
    """One limit: its name in headers and in Redis, whom it counts, in words too, and how many it
    lets through."""

    name: str
    whom: str
    counted: Callable[[], str]
    rate: Callable[[], str]
    on_breach: Callable[[RequestLimit], None] | None = None

    def limit(self) -> ApplicationLimit:
        return ApplicationLimit(
            self.rate,
            key_function=self.counted,
            scope=self.name,
            error_message=lambda: f"{self.rate().replace(';', ', ')} for {self.whom}",
            on_breach=self.on_breach,
        )


def _tell_operators(breached: RequestLimit) -> None:
    log.error("registrations.server_limit", limit=str(breached.limit))


ALL_KEYS = "the keys of an organization together"
WINDOWS = (
    Rule(
        "address",
        "requests without a valid key from one address",
        partial(network, 32),
        without_a_key,
    ),
    Rule("key", "one key", key, partial(in_a_window, 1)),
    Rule("organization", ALL_KEYS, organization, partial(in_a_window, KEYS_OF_AN_ORGANIZATION)),
    Rule("rotations", "rotating the keys of an organization", owner, rotations),
    Rule("registrations", "opening accounts from one network", partial(network, 24), registrations),
    Rule(
        "server",
        "opening accounts on this server",
        lambda: "server",
        server_registrations,
        _tell_operators,
    ),
)
BUCKETS = (
    Rule("key", "one key", key, partial(in_a_bucket, 1)),
    Rule("organization", ALL_KEYS, organization, partial(in_a_bucket, KEYS_OF_AN_ORGANIZATION)),
)


class PlanLimiter(Limiter):
    """Flask-Limiter, with our answer to a Redis that is down."""

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        if g.get("redis_is_down"):
            return
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except RedisError as error:
            g.redis_is_down = True
            log.error("limits.redis_down", error=str(error))
            if request.method not in READING:
                raise DependencyDown(
                    "Rate limits cannot be checked just now. Repeat the request shortly."
                ) from error


def _is_unlimited() -> bool:
    """Pages, health checks and preflights cost nothing; a page of thumbnails is 200 URLs of files
    at once.

    The payment provider sends what it has to say in bursts, from few addresses.
    """
    return required() is None or request.blueprint in UNLIMITED


def init_app(app: Flask) -> None:
    settings = app.extensions["lightwell"].settings
    limiters = [
        PlanLimiter(
            get_remote_address,
            application_limits=[rule.limit() for rule in rules],
            strategy=strategy,
            key_prefix="lightwell",
            storage_uri=settings.redis_url,
            storage_options=connection_options(settings),
        )
        for strategy, rules in (("moving-window", WINDOWS), (bucket.STRATEGY, BUCKETS))
    ]
    for limiter in limiters:
        limiter.request_filter(_is_unlimited)
        limiter.init_app(app)
    app.after_request(partial(add_headers, limiters))


def add_headers(limiters: Sequence[Limiter], response: Response) -> Response:
    """Tell what is left of the limit that is nearest to refusing, or has refused.

    By draft-ietf-httpapi-ratelimit-headers, and the older X-RateLimit trio.
    """
    try:
        current = _nearest([limit for limiter in limiters for limit in limiter.current_limits])
    except RedisError:
        return response
    if current is None:
        return response
    amount, window = current.limit.amount, current.limit.get_expiry()
    reset_at, remaining = current.window
    seconds = max(1, math.ceil(reset_at - time.time())) if remaining < amount else 0
    name = current.request_args[-1]
    response.headers["RateLimit-Policy"] = f'"{name}";q={amount};w={window}'
    response.headers["RateLimit"] = f'"{name}";r={remaining};t={seconds}'
    response.headers["X-RateLimit-Limit"] = str(amount)
    response.headers["X-RateLimit-Remaining"] = str(remaining)
    response.headers["X-RateLimit-Reset"] = str(math.ceil(reset_at))
    if current.breached:
        response.headers["Retry-After"] = str(max(1, seconds))
    return response


def _nearest(limits: Sequence[RequestLimit]) -> RequestLimit | None:
    refused = [limit for limit in limits if limit.breached]
    return min(
        refused or limits,
        key=lambda limit: (limit.window.remaining, -limit.window.reset_time),
        default=None,
    )
