"""A comparison of all organizations with the payment provider, that staff ask for: a job makes it,
Redis keeps what it found for a day."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice

from redis import Redis

from app.adapters.queue import RECONCILE_SECONDS, enqueue_reconcile
from app.errors import AppError, Conflict, NotFound
from app.models import Actor
from app.services.billing import plans, reconciliation, subscriptions
from app.services.billing.prices import UnknownPrice
from app.services.billing.provider import Provider
from app.services.billing.reconciliation import BillingDifference
from app.services.billing.subscriptions import Snapshot
from app.tenancy import TenantSession

GOING = "lightwell:reconcile:going"
"""Since when a comparison waits or runs; it expires, so that one that was
killed is not shown for long."""
REPORT = "lightwell:reconcile:report"
MENDED = "lightwell:reconcile:mended"
"""The ids of organizations that were mended since the report."""
KEPT = timedelta(hours=24)
MOST = 1000
"""How many differences are kept."""


@dataclass(frozen=True)
class Going:
    """A comparison that is not done. It waits in its queue until ``has_begun``."""

    since: datetime
    has_begun: bool


@dataclass(frozen=True)
class Report:
    """A comparison that ended; with ``error``, without having seen everything. ``number`` counts
    all differences, of which the first are kept. ``mended`` has ids of organizations."""

    began: datetime
    ended: datetime
    number: int
    differences: tuple[BillingDifference, ...]
    error: str | None
    mended: frozenset[str]


def ask(redis: Redis, now: datetime) -> None:
    """Enqueue a comparison, unless one waits. Raises RedisError."""
    enqueue_reconcile(redis)
    # One that runs goes on; what is shown is then the one that was asked for last.
    _set_going(redis, Going(now, has_begun=False))


def going(redis: Redis) -> Going | None:
    """Raises RedisError."""
    if not (value := redis.get(GOING)):
        return None
    read = json.loads(value)
    return Going(datetime.fromisoformat(read["since"]), read["has_begun"])


def report(redis: Redis) -> Report | None:
    """The last report, or None if there was none within a day. Raises RedisError."""
    if not (value := redis.get(REPORT)):
        return None
    read = json.loads(value)
    return Report(
        datetime.fromisoformat(read["began"]),
        datetime.fromisoformat(read["ended"]),
        read["number"],
        tuple(BillingDifference(**one) for one in read["differences"]),
        read["error"],
        frozenset(
            one.decode() if isinstance(one, bytes) else one for one in redis.smembers(MENDED)
        ),
    )


def compare(redis: Redis, provider: Provider) -> int:
    """Compare, and keep a report, also of a failure. Returns how many differences there are. Raises
    DependencyDown, RedisError."""
    began = provider.clock()
    _set_going(redis, Going(began, has_begun=True))
    kept: list[BillingDifference] = []
    number = 0
    error: str | None = "It was ended from outside."
    try:
        found = reconciliation.differences(provider)
        kept = list(islice(found, MOST))
        number, error = len(kept) + sum(1 for _ in found), None
    except AppError as failure:
        error = failure.message
        raise
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        keep(redis, Report(began, provider.clock(), number, tuple(kept), error, frozenset()))
    return number


def _set_going(redis: Redis, one: Going) -> None:
    value = json.dumps({"since": one.since.isoformat(), "has_begun": one.has_begun})
    redis.set(GOING, value, ex=RECONCILE_SECONDS)


def keep(redis: Redis, one: Report) -> None:
    """Raises RedisError."""
    value = {
        "began": one.began.isoformat(),
        "ended": one.ended.isoformat(),
        "number": one.number,
        "differences": [asdict(difference) for difference in one.differences],
        "error": one.error,
    }
    with redis.pipeline() as pipe:
        pipe.set(REPORT, json.dumps(value), ex=KEPT)
        pipe.delete(MENDED, GOING)
        pipe.execute()


def find(redis: Redis, org_id: str, customer_id: str | None) -> BillingDifference:
    """The difference of an organization in the last report. Raises NotFound, RedisError."""
    last = report(redis)
    for one in last.differences if last else ():
        if (one.org_id, one.customer_id) == (org_id, customer_id):
            return one
    raise NotFound("The last comparison has no such difference. Compare again.")


def ask_provider(provider: Provider, difference: BillingDifference) -> Snapshot | None:
    """What the provider has now of the difference's customer; None if it has none. Waits for the
    provider, so it is called outside of transactions. Raises Conflict if there is nothing that
    could be applied, DependencyDown."""
    if difference.customer_id is None:
        return None
    try:
        snapshot = next(subscriptions.snapshots(provider, difference.customer_id), None)
    except UnknownPrice as error:
        raise Conflict(f"{error}. Name the price in STRIPE_PRICES first.") from None
    if snapshot is None or snapshot.account.org_id != difference.org_id:
        raise Conflict("The customer is not the organization's any more. Compare again.")
    return snapshot


def mend(
    session: TenantSession, provider: Provider, snapshot: Snapshot | None, actor: Actor
) -> str:
    """Take over a snapshot of the customer of the session's organization; without one, what is due
    to an organization that pays nothing. Returns the outcome. Raises Conflict if the subscription
    has changed since."""
    if snapshot is None:
        plans.repair(session, actor, provider.clock())
        return "put on its granted plan"
    if outcome := subscriptions.apply(session, snapshot, provider, actor):
        return outcome
    raise Conflict("The subscription has just changed. Try again.")


def note_mended(redis: Redis, org_id: str) -> None:
    """Raises RedisError."""
    redis.sadd(MENDED, org_id)
    redis.expire(MENDED, KEPT)
