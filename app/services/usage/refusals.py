"""How many requests of an organization were refused in a day, by the code of the error.

The web process counts in Redis, one increment a refusal, and the minute's sweep moves the counts
into the database. A sweep that is killed between an organization's commit and the removal of its
counts counts that organization's last minute twice; a Redis that loses its data loses a minute.
Neither matters for a figure that shows where to look.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app.extensions import transaction
from app.models import ErrorDay, Mode
from app.services.usage.periods import day_of
from app.tenancy import TenantSession, insert_or_add

COUNTED = "lightwell:refused"
"""A hash in Redis: organization, day, mode and code → requests."""
MOVING = "lightwell:refused:moving"
LOCK = "lightwell:refused:lock"
LOCK_SECONDS = 300
"""A sweep that was killed hinders the next ones for so long."""


class Refused(NamedTuple):
    """Requests that were refused with one code."""

    code: str
    requests: int


def count(redis: Redis, org_id: str, mode: Mode, code: str, now: datetime) -> None:
    """Count one refused request. Raises RedisError."""
    redis.hincrby(COUNTED, f"{org_id} {day_of(now)} {mode} {code}")


def flush(redis: Redis) -> int:
    """Move the counts into the database. Returns how many requests they were. Raises RedisError."""
    lock = redis.lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
    if not lock.acquire():
        return 0
    try:
        # What a killed sweep left comes first; renaming would overwrite it.
        moved = _move(redis)
        try:
            redis.rename(COUNTED, MOVING)
        except ResponseError:  # there is nothing
            return moved
        return moved + _move(redis)
    finally:
        lock.release()


def _move(redis: Redis) -> int:
    by_organization: dict[str, dict[str, int]] = defaultdict(dict)
    for name, requests in redis.hgetall(MOVING).items():
        counted = str(name, "ascii") if isinstance(name, bytes) else name
        by_organization[counted.partition(" ")[0]][counted] = int(requests)
    moved = 0
    for org_id, counts in by_organization.items():
        moved += _add(org_id, counts)
        redis.hdel(MOVING, *counts)
    return moved


def _add(org_id: str, counts: Mapping[str, int]) -> int:
    """Add the counts of one organization. Returns 0 if it was deleted meanwhile."""
    rows = []
    for name, requests in counts.items():
        _, day, mode, code = name.split(" ")
        rows.append(
            {"day": date.fromisoformat(day), "mode": mode, "code": code, "requests": requests}
        )
    try:
        with transaction(org_id) as session:
            insert_or_add(session, ErrorDay, "requests", rows)
    except IntegrityError:
        return 0
    return sum(counts.values())


def totals(session: TenantSession, mode: Mode, first: date, last: date) -> list[Refused]:
    """The refused requests of these days by code, the most frequent first."""
    requests = func.sum(ErrorDay.requests)
    rows = session.execute(
        select(ErrorDay.code, requests)
        .where(ErrorDay.day.between(first, last), ErrorDay.mode == mode)
        .group_by(ErrorDay.code)
        .order_by(requests.desc(), ErrorDay.code)
    )
    return [Refused(code, int(number)) for code, number in rows]
