"""The log of requests with a key: what staff see of a customer's last weeks.

A process keeps the entries in memory for some seconds, then puts them into a list in Redis; the
minute's sweep moves them into the database. A process that is killed loses its last seconds. A
sweep that is killed moves the same entries once more, and those that are there stay as they are.
"""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from app.extensions import transaction
from app.models import RequestEntry
from app.tenancy import TenantSession, insert_those_absent, unscoped

log = structlog.get_logger()

WAITING = "lightwell:request_log"
"""A list in Redis: entries as JSON, the oldest first."""
MOVING = "lightwell:request_log:moving"
LOCK = "lightwell:request_log:lock"
LOCK_SECONDS = 300
"""A sweep that was killed hinders the next ones for so long."""
MOST_WAITING = 100_000
MOST_IN_MEMORY = 10_000
"""Entries of a process while Redis does not answer; the oldest give way."""
A_MINUTE = 600
"""Entries of an organization that one process keeps of a minute; half of the room is for refused
requests alone."""
KEPT = timedelta(days=30)
KEPT_OF_AN_ORGANIZATION = 10_000
BATCH = 5_000
ROWS = 500
"""Rows of one INSERT; databases bound the parameters of a statement."""


@dataclass(frozen=True)
class Entry:
    """A request, with the fields of ``RequestEntry``; ``created_at`` in ISO 8601."""

    org_id: str
    id: str
    key_id: str
    mode: str
    method: str
    route: str
    status: int
    code: str | None
    milliseconds: int
    bytes_in: int | None
    bytes_out: int | None
    created_at: str


class Pending:
    """The entries of a process that are not yet written. All threads share it."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MOST_IN_MEMORY)
        self._minute = ""
        self._of_minute = Counter[str]()
        self._lock = Lock()

    def add(self, entry: Entry) -> bool:
        """Keep an entry. Returns False if its organization has no room in this minute."""
        most = A_MINUTE if entry.code is not None else A_MINUTE // 2
        with self._lock:
            if (minute := entry.created_at[:16]) != self._minute:
                self._minute = minute
                self._of_minute.clear()
            if self._of_minute[entry.org_id] >= most:
                return False
            self._of_minute[entry.org_id] += 1
            self._entries.append(entry)
            return True

    def take(self) -> list[Entry]:
        """Return the entries and begin anew."""
        with self._lock:
            entries = list(self._entries)
            self._entries.clear()
        return entries

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Keep entries that could not be written, as far as there is room beside newer ones."""
        with self._lock:
            newer = list(self._entries)
            self._entries.clear()
            self._entries.extend([*entries, *newer])


OWN = Pending()
"""This process's."""


def write(pipeline: Pipeline, entries: Sequence[Entry]) -> None:
    """Append entries to the list in Redis, which keeps the newest."""
    if entries:
        pipeline.rpush(WAITING, *(json.dumps(asdict(entry)) for entry in entries))
        pipeline.ltrim(WAITING, -MOST_WAITING, -1)


def move(redis: Redis) -> int:
    """Move the entries into the database. Returns how many are new there. Raises RedisError."""
    lock = redis.lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
    if not lock.acquire():
        return 0
    try:
        # What a killed sweep left comes first; renaming would overwrite it.
        moved = _move(redis)
        try:
            redis.rename(WAITING, MOVING)
        except ResponseError:  # there is nothing
            return moved
        return moved + _move(redis)
    finally:
        lock.release()


def _move(redis: Redis) -> int:
    moved = 0
    while batch := redis.lrange(MOVING, 0, BATCH - 1):
        by_organization: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in batch:
            entry = json.loads(line)
            entry["created_at"] = datetime.fromisoformat(entry["created_at"])
            by_organization[entry["org_id"]].append(entry)
        moved += sum(_add(org_id, rows) for org_id, rows in by_organization.items())
        redis.ltrim(MOVING, len(batch), -1)
    return moved


def _add(org_id: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add the entries of one organization and let its oldest go. Returns 0 if it was deleted
    meanwhile."""
    try:
        with transaction(org_id) as session:
            parts = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
            added = sum(
                insert_those_absent(session, RequestEntry, [dict(row) for row in part])
                for part in parts
            )
            newest = select(RequestEntry.id).order_by(RequestEntry.id.desc())
            if first_too_many := session.scalar(newest.offset(KEPT_OF_AN_ORGANIZATION).limit(1)):
                session.change(delete(RequestEntry).where(RequestEntry.id <= first_too_many))
            return added
    except IntegrityError:
        return 0


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete entries whose time is over, the oldest first. The session is bound to nothing. Returns
    how many there were; a later sweep deletes the rest of very many."""
    with unscoped(session, "requests of all organizations are kept for the same time"):
        old = (
            select(RequestEntry.id)
            .where(RequestEntry.created_at < now - KEPT)
            .order_by(RequestEntry.created_at)
            .limit(BATCH)
        )
        return session.change(delete(RequestEntry).where(RequestEntry.id.in_(old)))
