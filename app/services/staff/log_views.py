"""The staff's log as staff read it: filters, pages, one entry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, select

from app.errors import NotFound
from app.extensions import transaction
from app.models import StaffEntry
from app.services.accounts.activity import read_day, words_of
from app.tenancy import TenantSession

PAGE_SIZE = 50
CSV_BATCH_SIZE = 500
RECENT = 5000
"""Filters offer who and what is in this many of the newest entries."""
MAX_TEXT = 64
HIGHEST = 2**31 - 1


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted. ``since`` and ``until`` are days in UTC, both included."""

    user_id: str = ""
    action: str = ""
    org_id: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Filter":
        """From the query of a page. What can't be read is left out."""
        texts = {
            name: values.get(key, "").replace("\0", "").strip()[:MAX_TEXT]
            for name, key in (("user_id", "who"), ("action", "action"), ("org_id", "org"))
        }
        return cls(
            **texts,
            since=read_day(values.get("since", "")),
            until=read_day(values.get("until", "")),
        )

    @property
    def as_query(self) -> dict[str, str]:
        """The filter as a page's query has it."""
        given = {"who": self.user_id, "action": self.action, "org": self.org_id}
        days = {"since": self.since, "until": self.until}
        given |= {name: day.isoformat() for name, day in days.items() if day}
        return {name: value for name, value in given.items() if value}

    def applied(self, entries: Select[StaffEntry]) -> Select[StaffEntry]:
        if self.user_id:
            entries = entries.where(StaffEntry.user_id == self.user_id)
        if self.action:
            entries = entries.where(StaffEntry.action == self.action)
        if self.org_id:
            entries = entries.where(StaffEntry.org_id == self.org_id)
        if self.since:
            entries = entries.where(StaffEntry.created_at >= _midnight(self.since))
        if self.until:
            until = _midnight(self.until + timedelta(1))
            entries = entries.where(StaffEntry.created_at < until)
        return entries


@dataclass(frozen=True)
class Page:
    """Entries, the newest first. ``next`` is the cursor of the next page, None on the last one."""

    entries: Sequence[StaffEntry]
    next: int | None


def page(
    session: TenantSession, wanted: Filter, before: int | None = None, size: int = PAGE_SIZE
) -> Page:
    """The entries with a lower number than ``before``, or the newest ones."""
    entries = wanted.applied(select(StaffEntry))
    if before is not None:
        entries = entries.where(StaffEntry.number < before)
    found = session.scalars(entries.order_by(StaffEntry.number.desc()).limit(size + 1)).all()
    return Page(found[:size], found[size - 1].number if len(found) > size else None)


def all_entries(wanted: Filter) -> Iterator[StaffEntry]:
    """All entries, read in batches with a transaction each, for answers that take their time."""
    before: int | None = HIGHEST
    while before is not None:
        with transaction() as session:
            batch = page(session, wanted, before, CSV_BATCH_SIZE)
        yield from batch.entries
        before = batch.next


def find(session: TenantSession, number: int) -> StaffEntry:
    """Raises NotFound."""
    entry = session.get(StaffEntry, number) if 0 < number <= HIGHEST else None
    if entry is None:
        raise NotFound("There is no entry with this number; entries are kept for 400 days.")
    return entry


def people(session: TenantSession) -> list[tuple[str, str]]:
    """Who is in the log lately, as (id, e-mail), by e-mail."""
    newest = select(StaffEntry.user_id, StaffEntry.email).order_by(StaffEntry.number.desc())
    recent = newest.limit(RECENT).subquery()
    rows = session.execute(select(recent.c.user_id, recent.c.email).distinct())
    return sorted(((row.user_id, row.email) for row in rows), key=lambda pair: pair[1])


def actions(session: TenantSession) -> list[tuple[str, str]]:
    """What is in the log lately, as (action, words), by words."""
    newest = select(StaffEntry.action).order_by(StaffEntry.number.desc())
    recent = newest.limit(RECENT).subquery()
    found = session.scalars(select(recent.c.action).distinct())
    return sorted(((action, words_of(action)) for action in found), key=lambda pair: pair[1])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
