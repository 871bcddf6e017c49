"""Rate limits by key, by organization and mode, and by address (docs/decisions/018).

The counts are in Redis, so all processes share them. When Redis does not answer, reads go on
unlimited, so that the service stays up, and everything else is refused with 503, so that no work is
done unlimited (docs/decisions/003).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from limits import parse_many
from redis.exceptions import RedisError

from app.adapters.redis import connection_options
from app.errors import DependencyDown
from app.models import ActorKind
from app.web import bucket, sessions
from app.web.addresses import remote_ip
from app.web.context import container
from app.web.requirements import READING, is_hidden, required

View = TypeVar("View", bound=Callable[..., Any])
log = structlog.get_logger()

UNLIMITED = frozenset(
    {"delivery", "published", "docs", "health", "monitoring", "static_files", "webhooks"}
)
KEYS_OF_AN_ORGANIZATION = 5
"""All keys of an organization in one mode together may make this many times the requests of one
key."""
BURST_SECONDS = 10
"""A bucket holds this many seconds of the plan's rate."""
ROTATIONS = "5/minute"
PEOPLE = "600/minute"
"""Requests of one signed-in person, whose pages fetch parts of themselves."""
KEY_PREFIX = "lightwell"
WINDOWS_NAME = "lightwell.windows"
REGISTRATIONS, SERVER = "registrations", "server"
SECONDS_COUNT = "/api/v1/"
"""Below this path the plan's rate also holds for each second, as its clients were promised."""


def opens_accounts(view: View) -> View:
    """Mark a view that opens accounts: it is limited by network and for the whole server."""
    view.limited_as = "registration"  # type: ignore[attr-defined]  # read by _is()
    return view


def rotates_keys(view: View) -> View:
    """Mark a view that replaces keys: it is limited by organization."""
    view.limited_as = "rotation"  # type: ignore[attr-defined]  # read by _is()
    return view


def _is(kind: str) -> bool:
    view = current_app.view_functions[request.endpoint or ""]
    return getattr(view, "limited_as", None) == kind


# ── what is counted ───────────────────────────────────────────────────────────────────────────────


def is_registration() -> bool:
    """Whether the request asks for a view that opens accounts."""
    return request.endpoint is not None and _is("registration")


def key() -> str:
    """Count by key. A rotated key shares the count of its predecessors, so that rotation does not
    reset a limit."""
    return f"key:{g.principal.rate_limit_id}"


def person() -> str:
    return f"person:{sessions.person().user_id}"


def organization() -> str:
    return f"org:{g.principal.org_id}:{g.principal.mode}"


def owner() -> str:
    return f"org:{g.principal.org_id}"


def network(ipv4_bits: int) -> str:
    """Count by the caller's network: ``ipv4_bits`` in IPv4, /64 in IPv6, the least that a provider
    assigns to a customer."""
    ip = remote_ip()
    if ip is None:
        return f"address:{get_remote_address()}"
    return f"address:{ip_network(f'{ip}/{ipv4_bits if ip.version == 4 else 64}', strict=False)}"


# ── limits in the notation of the limits library, empty if the limit does not apply ───────────────


def without_a_key() -> str:
    nobody = g.principal is None and sessions.signed_in_person() is None
    return container().settings.ratelimit_anonymous if nobody else ""


def of_people() -> str:
    return PEOPLE if sessions.signed_in_person() else ""


def _has_key() -> bool:
    return g.principal is not None and g.principal.actor.kind is ActorKind.KEY


def in_a_window(keys: int) -> str:
    """Return the limit of ``keys`` keys together: for test keys the setting, for live keys the rate
    per second below ``SECONDS_COUNT``."""
    if not _has_key():
        return ""
    if not g.principal.is_live:
        return _times(keys, container().settings.ratelimit_test_keys)
    if request.path.startswith(SECONDS_COUNT):
        return f"{keys * g.principal.allowance.requests_per_second} per second"
    return ""


def in_a_bucket(keys: int) -> str:
    """Return the limit of ``keys`` live keys together; all surfaces share it."""
    if not _has_key() or not g.principal.is_live:
        return ""
    return (
        f"{keys * BURST_SECONDS * g.principal.allowance.requests_per_second} per {BURST_SECONDS} "
        "seconds"
    )


def rotations() -> str:
    """Keys without the scope to rotate are not counted, so that they do not use up the
    organization's limit."""
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
    """One limit: its name in headers and in Redis, whom it counts (in words and as a key), and its
    rate."""

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
    Rule("person", "one person", person, of_people),
    Rule("key", "one key", key, partial(in_a_window, 1)),
    Rule("organization", ALL_KEYS, organization, partial(in_a_window, KEYS_OF_AN_ORGANIZATION)),
    Rule("rotations", "rotating the keys of an organization", owner, rotations),
    Rule(REGISTRATIONS, "opening accounts from one network", partial(network, 24), registrations),
    Rule(
        SERVER,
        "opening accounts on this server",
        lambda: SERVER,
        server_registrations,
        _tell_operators,
    ),
)
BUCKETS = (
    Rule("key", "one key", key, partial(in_a_bucket, 1)),
    Rule("organization", ALL_KEYS, organization, partial(in_a_bucket, KEYS_OF_AN_ORGANIZATION)),
)


@dataclass(frozen=True)
class Room:
    """How much of a limit is used: ``used`` of ``most`` in the ``seconds`` before now."""

    used: int
    most: int
    seconds: int

    @property
    def is_full(self) -> bool:
        return self.used >= self.most


def registrations_of(networks: Sequence[str]) -> dict[str, list[Room]]:
    """How much is used of the limits of opening accounts by each network, such as
    ``203.0.113.0/24``, and under ``SERVER`` by all together. Raises RedisError."""
    settings = container().settings
    asked = [
        *((name, REGISTRATIONS, settings.ratelimit_registrations) for name in networks),
        (SERVER, SERVER, settings.ratelimit_server_registrations),
    ]
    limiter = current_app.extensions[WINDOWS_NAME]
    rooms: dict[str, list[Room]] = {}
    for name, rule, rate in asked:
        whom = name if name == SERVER else f"address:{name}"
        for limit in parse_many(rate):
            left = limiter.limiter.get_window_stats(limit, KEY_PREFIX, whom, rule).remaining
            room = Room(limit.amount - left, limit.amount, limit.get_expiry())
            rooms.setdefault(name, []).append(room)
    return rooms


class PlanLimiter(Limiter):
    """Flask-Limiter that handles a Redis outage as described above."""

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
    """Pages, health checks and preflights are cheap, and a page of thumbnails loads 200 file URLs
    at once.

    The payment provider sends events in bursts from few addresses. Who is told that a page does not
    exist is not limited either, as for pages that really don't: the headers would tell them apart.
    """
    surface = (request.blueprint or "").partition(".")[0]
    return required() is None or surface in UNLIMITED or is_hidden()


def init_app(app: Flask) -> None:
    settings = app.extensions["lightwell"].settings
    limiters = [
        PlanLimiter(
            get_remote_address,
            application_limits=[rule.limit() for rule in rules],
            strategy=strategy,
            key_prefix=KEY_PREFIX,
            storage_uri=settings.redis_url,
            storage_options=connection_options(settings),
        )
        for strategy, rules in (("moving-window", WINDOWS), (bucket.STRATEGY, BUCKETS))
    ]
    for limiter in limiters:
        limiter.request_filter(_is_unlimited)
        limiter.init_app(app)
    app.extensions[WINDOWS_NAME] = limiters[0]
    app.after_request(partial(add_headers, limiters))


def add_headers(limiters: Sequence[Limiter], response: Response) -> Response:
    """Add headers about the limit that refused the request or is closest to refusing.

    As in draft-ietf-httpapi-ratelimit-headers, and the three older X-RateLimit headers.
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
