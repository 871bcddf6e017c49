"""The list of all organizations, a page at a time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select

from app.extensions import transaction
from app.models import Organization, Plan, StorageCounter, UsageCounter
from app.services.staff import organization_query
from app.services.staff.cursor import Place, encode
from app.services.staff.organization_filter import State, Wanted, states_of
from app.services.usage.periods import period_of
from app.tenancy import TenantSession, unscoped

PAGE_SIZE = 50
BATCH_SIZE = 500
"""Rows of a file that are read at once."""


class Row(NamedTuple):
    """An organization in the list. ``plan`` is the one that holds now, ``used`` the live images of
    the month, ``stored`` is in bytes."""

    organization: Organization
    plan: str
    used: int
    stored: int

    @property
    def states(self) -> list[State]:
        return states_of(self.organization)


class Page(NamedTuple):
    """``next`` is the cursor of the next page, None on the last one."""

    rows: list[Row]
    next: str | None


def page_of(
    session: TenantSession,
    wanted: Wanted,
    now: datetime,
    place: Place | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """The organizations after ``place``, or the first ones. ``session`` sees all organizations."""
    found = organization_query.places(session, wanted, now, place, size + 1)
    rows = _rows(session, [one.id for one in found[:size]], now)
    return Page(rows, encode(found[size - 1]) if len(found) > size else None)


def all_rows(wanted: Wanted, now: datetime) -> Iterator[Row]:
    """All organizations that are wanted, read in batches with a transaction each, for answers that
    take their time. One whose value changes meanwhile may be there twice, or be missing."""
    cursor: str | None = ""
    while cursor is not None:
        with transaction() as session, unscoped(session, "the list of organizations, as a file"):
            batch = page_of(session, wanted, now, wanted.place(cursor), BATCH_SIZE)
        yield from batch.rows
        cursor = batch.next


def plan_codes(session: TenantSession) -> Sequence[str]:
    """All plans, also those made for one customer, in the order of the price list."""
    return session.scalars(select(Plan.code).order_by(Plan.position, Plan.code)).all()


def _rows(session: TenantSession, ids: list[str], now: datetime) -> list[Row]:
    used = and_(UsageCounter.org_id == Organization.id, UsageCounter.period == period_of(now))
    found = session.execute(
        select(
            Organization,
            Organization.plan_code_at(now),
            func.coalesce(UsageCounter.used, 0),
            func.coalesce(StorageCounter.bytes, 0),
        )
        .outerjoin(UsageCounter, used)
        .outerjoin(StorageCounter, StorageCounter.org_id == Organization.id)
        .where(Organization.id.in_(ids))
    )
    by_id = {row[0].id: Row(*row) for row in found}
    return [by_id[org_id] for org_id in ids if org_id in by_id]
