"""Whom a change of a plan reaches: the organizations on it, and those that would be over its new
limits at once."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, union

from app.extensions import transaction
from app.models import Organization, StorageCounter, UsageCounter
from app.services.accounts.principal import MEGABYTE
from app.services.usage.periods import period_of
from app.tenancy import TenantSession, unscoped

SHOWN = 20
BATCH_SIZE = 500
USED, STORED = func.coalesce(UsageCounter.used, 0), func.coalesce(StorageCounter.bytes, 0)


class Reached(NamedTuple):
    """An organization on the plan. ``used`` are the live images of the month, ``stored`` is in
    bytes; ``over_images`` and ``over_storage`` are whether they exceed the new limits."""

    id: str
    name: str
    used: int
    stored: int
    over_images: bool
    over_storage: bool


class Reach(NamedTuple):
    """``over`` are the first of those that would be over a new limit, by name."""

    organizations: int
    over_images: int
    over_storage: int
    over_any: int
    over: Sequence[Reached]


def reach(session: TenantSession, code: str, values: Mapping[str, Any], now: datetime) -> Reach:
    """Whom a plan with these values would reach. ``session`` sees all organizations."""
    images, storage = _over(values, now)
    on_plan = _on_plan(code, now)
    number = select(func.count()).select_from(Organization).where(*on_plan)
    totals = select(
        func.coalesce(func.sum(case((images, 1), else_=0)), 0),
        func.coalesce(func.sum(case((storage, 1), else_=0)), 0),
        func.count(),
    )
    only_over = (*on_plan, Organization.id.in_(_candidates(values, now)), or_(images, storage))
    counts = session.execute(_joined(totals, now).where(*only_over)).one()
    columns = select(Organization.id, Organization.name, USED, STORED, images, storage)
    first = _joined(columns, now).where(*only_over)
    by_name = first.order_by(Organization.folded_name, Organization.id).limit(SHOWN)
    over = [_reached(row) for row in session.execute(by_name)]
    over_images, over_storage, over_any = counts
    return Reach(session.scalar(number) or 0, over_images, over_storage, over_any, over)


def all_reached(code: str, values: Mapping[str, Any], now: datetime) -> Iterator[Reached]:
    """All organizations on the plan, in the order of their ids, read in batches with a transaction
    each."""
    images, storage = _over(values, now)
    columns = select(Organization.id, Organization.name, USED, STORED, images, storage)
    statement = _joined(columns, now).where(*_on_plan(code, now)).order_by(Organization.id)
    last = ""
    while True:
        with transaction() as session, unscoped(session, "whom a change of a plan reaches"):
            rows = session.execute(statement.where(Organization.id > last).limit(BATCH_SIZE)).all()
        if not rows:
            return
        yield from map(_reached, rows)
        last = rows[-1].id


def _reached(row: Any) -> Reached:
    org_id, name, used, stored, images, storage = row
    return Reached(org_id, name, used, stored, bool(images), bool(storage))


def _joined(statement: Any, now: datetime) -> Any:
    used = and_(UsageCounter.org_id == Organization.id, UsageCounter.period == period_of(now))
    return (
        statement.select_from(Organization)
        .outerjoin(UsageCounter, used)
        .outerjoin(StorageCounter, StorageCounter.org_id == Organization.id)
    )


def _on_plan(code: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The first condition is what an index finds: its own code says nothing once a grant or a
    payment's respite is over."""
    found = or_(
        Organization.plan_code == code,
        Organization.plan_lapses_at <= now,
        Organization.granted_until <= now,
    )
    return found, Organization.plan_code_at(now) == code, Organization.deleted_at.is_(None)


def _over(
    values: Mapping[str, Any], now: datetime
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Whether an organization's images, and its storage, exceed the limits; not where its own
    limit was raised so far."""
    images, megabytes = values["monthly_images"], values["storage_mb"]
    raised_images = _raised("monthly_images", now)
    raised_bytes = _raised("storage_mb", now) * MEGABYTE
    return (
        false() if images is None else and_(images < USED, raised_images < USED),
        false()
        if megabytes is None
        else and_(megabytes * MEGABYTE < STORED, raised_bytes < STORED),
    )


def _raised(name: str, now: datetime) -> ColumnElement[int]:
    """The limit that holds for the organization instead of the plan's; 0 for none."""
    until = Organization.raised_until
    holds = or_(until.is_(None), until > now)
    return case((holds, func.coalesce(Organization.raised_limits[name].as_integer(), 0)), else_=0)


def _candidates(values: Mapping[str, Any], now: datetime) -> Any:
    """The ids of all organizations over one of the limits, by the indexes of the counters."""
    images, megabytes = values["monthly_images"], values["storage_mb"]
    used = select(UsageCounter.org_id).where(UsageCounter.period == period_of(now))
    used = used.where(false() if images is None else UsageCounter.used > images)
    most = false() if megabytes is None else StorageCounter.bytes > megabytes * MEGABYTE
    return union(used, select(StorageCounter.org_id).where(most))
