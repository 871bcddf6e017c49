"""How the business goes, month by month.

Lightwell writes no invoices of its own. Revenue here is what subscriptions cost a month at the
plans' prices of today; Stripe knows what was paid. Months before this one are kept in Redis for a
day; this month is counted each time. Nothing here reads the ledger.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import and_, case, func, or_, select

from app.models import AuditEntry, BillingAccount, Organization, Plan, UsageCounter
from app.models.types import first_id
from app.services.usage.periods import next_period, period_of
from app.tenancy import TenantSession

MONTHS = 12
TOP = 20
KEPT_SECONDS = 24 * 60 * 60
CHANGED = "subscription.changed"


class Counts(NamedTuple):
    """What happened in a month. ``converted`` are those of the ``new`` organizations that pay now.
    ``changes`` are moves from one paid plan to another, None for no paid plan, and how many."""

    active: int
    images: int
    new: int
    converted: int
    changes: list[tuple[str | None, str | None, int]]


class Month(NamedTuple):
    """``paying`` organizations and their ``revenue`` in cents are as at its end, or now.
    ``started`` and ``ended`` are how many began and ceased to pay in it."""

    period: date
    counts: Counts
    paying: int
    revenue: int
    started: int
    ended: int

    @property
    def paid_before(self) -> int:
        """How many paid when the month began."""
        return self.paying - self.started + self.ended


class Customer(NamedTuple):
    """``cents`` is what ``paid``, the plan that it pays for, costs a month; ``plan`` is the one
    that was in force when it was changed last."""

    id: str
    name: str
    plan: str
    paid: str | None
    images: int
    cents: int


COUNTS = TypeAdapter(Counts)


def months(session: TenantSession, redis: Redis, now: datetime) -> list[Month]:
    """The last ``MONTHS`` months, this one first. ``session`` sees all organizations."""
    this = period_of(now)
    counted = [(this, _counts(session, this))]
    counted += [(period, _kept(session, redis, period)) for period in _before(this, MONTHS - 1)]
    return _chained(counted, _paying(session), prices(session))


def prices(session: TenantSession) -> dict[str, int]:
    """What each plan costs a month in cents; 0 by contract."""
    return {
        code: cents or 0 for code, cents in session.execute(select(Plan.code, Plan.price_cents))
    }


def _chained(
    counted: Iterable[tuple[date, Counts]], paying: Counter[str], costs: dict[str, int]
) -> list[Month]:
    """Go back from the plans that are paid for now, through the changes of each month."""
    found = []
    for period, counts in counted:
        revenue = sum(costs.get(code, 0) * number for code, number in paying.items())
        started = sum(number for before, _, number in counts.changes if before is None)
        ended = sum(number for _, after, number in counts.changes if after is None)
        found.append(Month(period, counts, paying.total(), revenue, started, ended))
        for before, after, number in counts.changes:
            if before is not None:
                paying[before] += number
            if after is not None:
                paying[after] -= number
    return found


def _before(period: date, number: int) -> Iterator[date]:
    for _ in range(number):
        period = (period - timedelta(days=1)).replace(day=1)
        yield period


def periods(now: datetime) -> list[date]:
    """The months that are reported, this one first."""
    this = period_of(now)
    return [this, *_before(this, MONTHS - 1)]


def _kept(session: TenantSession, redis: Redis, period: date) -> Counts:
    """The counts of a month that is over."""
    key = f"staff:month:{period}"
    with suppress(RedisError, ValidationError):
        if kept := redis.get(key):
            return COUNTS.validate_json(kept)
    counts = _counts(session, period)
    with suppress(RedisError):
        redis.set(key, COUNTS.dump_json(counts), ex=KEPT_SECONDS)
    return counts


def _counts(session: TenantSession, period: date) -> Counts:
    used = (UsageCounter.period == period, UsageCounter.used > 0)
    usage = select(func.count(), func.coalesce(func.sum(UsageCounter.used), 0)).where(*used)
    active, images = session.execute(usage).one()
    start, end = _moment(period), _moment(next_period(period))
    born = and_(Organization.id >= first_id("org", start), Organization.id < first_id("org", end))
    pays = func.count(Organization.paid_plan_code)
    new, converted = session.execute(select(func.count(), pays).where(born)).one()
    return Counts(active, int(images), new, converted, _changes(session, start, end))


def _changes(
    session: TenantSession, start: datetime, end: datetime
) -> list[tuple[str | None, str | None, int]]:
    before = AuditEntry.before["paidPlan"].as_string()
    after = AuditEntry.after["paidPlan"].as_string()
    moves = select(before, after, func.count()).where(
        AuditEntry.action == CHANGED,
        AuditEntry.id >= first_id("aud", start),
        AuditEntry.id < first_id("aud", end),
        or_(before.is_not(None), after.is_not(None)),
    )
    rows = session.execute(moves.group_by(before, after)).all()
    return [(was, became, number) for was, became, number in rows if was != became]


def _paying(session: TenantSession) -> Counter[str]:
    """How many organizations pay for each plan now."""
    code = BillingAccount.plan_code
    rows = session.execute(select(code, func.count()).where(code.is_not(None)).group_by(code))
    return Counter({row[0]: row[1] for row in rows if row[0]})


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def top_by_images(session: TenantSession, period: date, limit: int = TOP) -> list[Customer]:
    """Those that made most images in a month. ``session`` sees all organizations."""
    first = (
        select(UsageCounter.org_id, UsageCounter.used)
        .where(UsageCounter.period == period, UsageCounter.used > 0)
        .order_by(UsageCounter.used.desc(), UsageCounter.org_id.desc())
        .limit(limit)
    ).subquery()
    rows = session.execute(
        select(Organization, first.c.used, BillingAccount.plan_code)
        .join(first, first.c.org_id == Organization.id)
        .outerjoin(BillingAccount, BillingAccount.org_id == Organization.id)
        .order_by(first.c.used.desc(), first.c.org_id.desc())
    ).all()
    return _customers(rows, prices(session))


def top_by_revenue(session: TenantSession, period: date, limit: int = TOP) -> list[Customer]:
    """Those whose plans cost most, with their images of a month; in doubt the older one first.
    ``session`` sees all organizations."""
    costs = prices(session)
    sold = {code: cents for code, cents in costs.items() if cents}
    if not sold:
        return []
    cost = case(sold, value=BillingAccount.plan_code)
    used = and_(UsageCounter.org_id == Organization.id, UsageCounter.period == period)
    rows = session.execute(
        select(Organization, func.coalesce(UsageCounter.used, 0), BillingAccount.plan_code)
        .join(BillingAccount, BillingAccount.org_id == Organization.id)
        .outerjoin(UsageCounter, used)
        .where(BillingAccount.plan_code.in_(sold))
        .order_by(cost.desc(), Organization.id)
        .limit(limit)
    ).all()
    return _customers(rows, costs)


def _customers(rows: Sequence[Any], costs: dict[str, int]) -> list[Customer]:
    return [
        Customer(own.id, own.name, own.plan_code, paid, used, costs.get(paid, 0) if paid else 0)
        for own, used, paid in rows
    ]
