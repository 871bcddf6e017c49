"""The audit log of an organization, as its admins read it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, Subquery, select
from sqlalchemy.orm import InstrumentedAttribute

from app.extensions import transaction
from app.models import Actor, ActorKind, ApiKey, AuditEntry, User, new_id
from app.models.types import TIME_DIGITS
from app.tenancy import TenantSession

PAGE_SIZE = 50
CSV_BATCH_SIZE = 500
RECENT = 5000
STAFF = "Lightwell staff"
LAST_YEAR = 5000
"""Ids hold times until then."""
MAX_TEXT = 64
"""Characters of a filter: no stored value is longer."""


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted. ``since`` and ``until`` are days in the organization's time zone,
    both included."""

    actor_id: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Filter":
        """From the query of a page. What can't be read is left out."""
        return cls(
            actor_id=values.get("actor", "")[:MAX_TEXT].replace("\0", ""),
            action=values.get("action", "")[:MAX_TEXT].replace("\0", ""),
            since=read_day(values.get("since", "")),
            until=read_day(values.get("until", "")),
        )

    @property
    def as_query(self) -> dict[str, str]:
        """The filter as a page's query has it."""
        given = {"actor": self.actor_id, "action": self.action}
        days = {"since": self.since, "until": self.until}
        given |= {name: day.isoformat() for name, day in days.items() if day}
        return {name: value for name, value in given.items() if value}

    def applied(self, entries: Select[AuditEntry], zone: ZoneInfo) -> Select[AuditEntry]:
        """Days become ids, because ids begin with the time and have an index."""
        if self.actor_id == ActorKind.STAFF:
            entries = entries.where(AuditEntry.actor_kind == ActorKind.STAFF)
        elif self.actor_id:
            entries = entries.where(AuditEntry.actor_id == self.actor_id)
        if self.action:
            entries = entries.where(AuditEntry.action == self.action)
        if self.since:
            entries = entries.where(AuditEntry.id >= _first_id(self.since, zone))
        if self.until:
            entries = entries.where(AuditEntry.id < _first_id(self.until + timedelta(1), zone))
        return entries


@dataclass(frozen=True)
class Activity:
    """An entry with the name of its actor: a person's, a key's, or the part of the system."""

    id: str
    actor: str
    actor_kind: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    address: str | None
    at: datetime

    @property
    def words(self) -> str:
        """The action in words: ``settings.changed`` is "Settings changed"."""
        return words_of(self.action)


@dataclass(frozen=True)
class ActivityPage:
    """Entries, the newest first. ``next`` is the cursor of the next page, None on the last one."""

    entries: Sequence[Activity]
    next: str | None


def page(
    session: TenantSession, wanted: Filter, zone: ZoneInfo, before: str = "", size: int = PAGE_SIZE
) -> ActivityPage:
    """The entries that are older than the one with the id ``before``, or the newest ones."""
    entries = wanted.applied(select(AuditEntry), zone)
    if before:
        entries = entries.where(AuditEntry.id < before)
    newest = entries.order_by(AuditEntry.id.desc()).limit(size + 1)
    found = session.scalars(newest).all()
    names = names_of(session, [entry.actor for entry in found])
    shown = [_activity(entry, names) for entry in found[:size]]
    return ActivityPage(shown, shown[-1].id if len(found) > size else None)


def all_pages(org_id: str, wanted: Filter, zone: ZoneInfo) -> Iterator[Activity]:
    """All entries, read in batches with a transaction each, for answers that take their time."""
    before: str | None = ""
    while before is not None:
        with transaction(org_id) as session:
            batch = page(session, wanted, zone, before, CSV_BATCH_SIZE)
        yield from batch.entries
        before = batch.next


def actors(session: TenantSession) -> list[tuple[str, str]]:
    """Who is in the log lately, as (id, name), by name. Staff are one, whose id is "staff"."""
    recent = _recent(AuditEntry.actor_kind, AuditEntry.actor_id)
    rows = session.execute(select(recent.c.actor_kind, recent.c.actor_id).distinct())
    found = [Actor(ActorKind(row.actor_kind), row.actor_id) for row in rows]
    names = names_of(session, found)
    who = {_filter_id(one): names[one] for one in found}
    return sorted(who.items(), key=lambda pair: pair[1].casefold())


def actions(session: TenantSession) -> list[tuple[str, str]]:
    """What is in the log lately, as (action, words), by words."""
    found = session.scalars(select(_recent(AuditEntry.action).c.action).distinct())
    return sorted(((action, words_of(action)) for action in found), key=lambda pair: pair[1])


def _filter_id(actor: Actor) -> str:
    return actor.kind.value if actor.kind is ActorKind.STAFF else actor.id


def _recent(*columns: InstrumentedAttribute[Any]) -> Subquery:
    """These columns of the newest entries. Filters offer what is there, so that the page takes as
    long for a log of any length."""
    return select(*columns).order_by(AuditEntry.id.desc()).limit(RECENT).subquery()


def words_of(action: str) -> str:
    return action.replace(".", " ").replace("_", " ").capitalize()


def names_of(session: TenantSession, found: Iterable[Actor]) -> dict[Actor, str]:
    """What people know these actors by. Who is gone is named by their id."""
    wanted = set(found)
    people = {one.id for one in wanted if one.kind is ActorKind.USER}
    keys = {one.id for one in wanted if one.kind is ActorKind.KEY}
    users = session.execute(select(User.id, User.name, User.email).where(User.id.in_(people)))
    names = {row.id: row.name or row.email for row in users}
    own = select(ApiKey.id, ApiKey.name).where(ApiKey.org_id == session.org_id, ApiKey.id.in_(keys))
    names |= {row.id: row.name for row in session.execute(own)}
    return {one: _name(one, names) for one in wanted}


def _name(actor: Actor, names: Mapping[str, str]) -> str:
    """Customers see that staff acted, never which person."""
    if actor.kind is ActorKind.STAFF:
        return STAFF
    if actor.kind is ActorKind.SYSTEM:
        return f"Lightwell ({actor.id})"
    return names.get(actor.id, actor.id)


def _activity(entry: AuditEntry, names: Mapping[Actor, str]) -> Activity:
    return Activity(
        id=entry.id,
        actor=names[entry.actor],
        actor_kind=entry.actor_kind,
        action=entry.action,
        before=entry.before,
        after=entry.after,
        address=entry.address,
        at=entry.created_at,
    )


def read_day(text: str) -> date | None:
    """A day in ISO 8601, None for any other text and for days that no entry is from."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 < day.year < LAST_YEAR else None


def _first_id(day: date, zone: ZoneInfo) -> str:
    """The lowest id that an entry of the day may have."""
    return new_id("aud", datetime.combine(day, time(), zone))[: len("aud_") + TIME_DIGITS]
