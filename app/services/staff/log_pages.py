"""The staff's log, as staff read it: filtered, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, select

from app.extensions import transaction
from app.models import StaffEntry
from app.services.accounts.activity import read_day, words_of
from app.tenancy import TenantSession

PAGE_SIZE = 50
BATCH_SIZE = 500
RECENT = 5000
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
        return cls(
            user_id=_text(values, "who"),
            action=_text(values, "action"),
            org_id=_text(values, "org"),
            since=read_day(values.get("since", "")),
            until=read_day(values.get("until", "")),
        )

    @property
    def as_query(self) -> dict[str, str]:
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
            entries = entries.where(StaffEntry.created_at < _midnight(self.until + timedelta(1)))
        return entries


@dataclass(frozen=True)
class Page:
    """Entries, the newest first. ``next`` is the number that the next page begins below."""

    entries: Sequence[StaffEntry]
    next: int | None


def page_of(
    session: TenantSession, wanted: Filter, before: int | None = None, size: int = PAGE_SIZE
) -> Page:
    """The entries below the number ``before``, or the newest ones."""
    entries = wanted.applied(select(StaffEntry)).order_by(StaffEntry.number.desc())
    if before is not None:
        entries = entries.where(StaffEntry.number < min(before, HIGHEST))
    found = session.scalars(entries.limit(size + 1)).all()
    return Page(found[:size], found[size - 1].number if len(found) > size else None)


def all_entries(wanted: Filter) -> Iterator[StaffEntry]:
    """All entries, read in batches with a transaction each, for answers that take their time."""
    before: int | None = HIGHEST
    while before is not None:
        with transaction() as session:
            batch = page_of(session, wanted, before, BATCH_SIZE)
            session.expunge_all()
        yield from batch.entries
        before = batch.next


def people(session: TenantSession) -> list[tuple[str, str]]:
    """Who acted lately, as (id, address), by address."""
    recent = select(StaffEntry.user_id, StaffEntry.email).order_by(StaffEntry.number.desc())
    part = recent.limit(RECENT).subquery()
    found = session.execute(select(part.c.user_id, part.c.email).distinct())
    return sorted({row.user_id: row.email for row in found}.items(), key=lambda pair: pair[1])


def actions(session: TenantSession) -> list[tuple[str, str]]:
    """What was done lately, as (action, words), by words."""
    recent = select(StaffEntry.action).order_by(StaffEntry.number.desc()).limit(RECENT).subquery()
    found = session.scalars(select(recent.c.action).distinct())
    return sorted(((action, words_of(action)) for action in found), key=lambda pair: pair[1])


def _text(values: Mapping[str, str], name: str) -> str:
    return values.get(name, "").replace("\0", "").strip()[:MAX_TEXT]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
