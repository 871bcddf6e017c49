"""The staff's log: what our own people did, to whom, and why.

Each entry holds the hash of the one before it, so that ``verify`` finds an entry that was changed,
and a gap where some were removed (docs/decisions/044).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update

from app.models import Actor, ActorKind, StaffEntry, StaffLogHead
from app.services.audit import changes
from app.tenancy import TenantSession, erasing

KEPT = timedelta(days=400)
FIRST_HASH = "0" * 64
PURGED = "log.purged"
SYSTEM = "system"
REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Acting:
    """Who of the staff acts, and why."""

    actor: Actor
    email: str
    reason: str


def record(
    session: TenantSession,
    who: Acting,
    action: str,
    now: datetime,
    *,
    org_id: str | None = None,
    subject: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> StaffEntry:
    """Add an entry in the caller's transaction. Of ``before`` and ``after`` the values that differ
    are kept."""
    old, new = changes(before or {}, after or {})
    lock(session)
    this = update(StaffLogHead).where(StaffLogHead.id == 1)
    session.change(this.values(number=StaffLogHead.number + 1))
    head = session.execute(select(StaffLogHead.number, StaffLogHead.hash)).one()
    entry = StaffEntry(
        number=head.number,
        user_id=who.actor.id,
        email=who.email,
        action=action,
        org_id=org_id,
        subject=subject,
        reason=who.reason,
        before=old,
        after=new,
        address=who.actor.address,
        created_at=now,
        previous_hash=head.hash,
    )
    entry.hash = hash_of(entry)
    session.add(entry)
    session.flush()
    session.change(this.values(hash=entry.hash))
    return entry


def lock(session: TenantSession) -> None:
    """Let nobody else write to the log until this transaction ends; so changes that must not happen
    at one moment wait for each other. An UPDATE without effect, because SQLite has no SELECT FOR
    UPDATE."""
    this = update(StaffLogHead).where(StaffLogHead.id == 1)
    session.change(this.values(number=StaffLogHead.number))


def hash_of(entry: StaffEntry) -> str:
    """SHA-256 of all that an entry says and of the hash before it, in hexadecimal."""
    values = {
        "number": entry.number,
        "user": entry.user_id,
        "email": entry.email,
        "action": entry.action,
        "organization": entry.org_id,
        "subject": entry.subject,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
        "address": entry.address,
        "at": entry.created_at.isoformat(),
        "previous": entry.previous_hash,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checked:
    """What ``verify`` found: how many entries there are, and the first that is wrong, in a
    sentence; None if the log is whole."""

    entries: int
    problem: str | None


def verify(session: TenantSession) -> Checked:
    """Read all of the log, and hold each entry against its hash and the one before it."""
    first, previous = _purged_up_to(session)
    number = first
    rows = session.scalars(
        select(StaffEntry).where(StaffEntry.number > first).order_by(StaffEntry.number),
        execution_options={"yield_per": 1000},
    )
    for entry in rows:
        if entry.number != number + 1:
            return Checked(number - first, f"Entry {number + 1} is missing.")
        if entry.previous_hash != previous or entry.hash != hash_of(entry):
            return Checked(number - first, f"Entry {entry.number} was changed.")
        number, previous = entry.number, entry.hash
        session.expunge(entry)
    head = session.execute(select(StaffLogHead.number, StaffLogHead.hash)).one()
    is_whole = (head.number, head.hash) == (number, previous)
    return Checked(
        number - first, None if is_whole else f"Entries after number {number} are missing."
    )


def _purged_up_to(session: TenantSession) -> tuple[int, str]:
    """The number and the hash of the last entry that was removed for its age."""
    purge = select(StaffEntry.after).where(StaffEntry.action == PURGED)
    after = session.scalar(purge.order_by(StaffEntry.number.desc()).limit(1))
    return (after["upTo"], after["hash"]) if after else (0, FIRST_HASH)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove entries that are older than ``KEPT``, and say so in a new one. Returns how many."""
    old = StaffEntry.created_at < now - KEPT
    last = session.scalar(select(func.max(StaffEntry.number)).where(old))
    if last is None:
        return 0
    until = session.get_one(StaffEntry, last)
    who = Acting(Actor(ActorKind.SYSTEM, SYSTEM), SYSTEM, f"Entries are kept for {KEPT.days} days.")
    record(session, who, PURGED, now, after={"upTo": last, "hash": until.hash})
    with erasing(session):
        return session.change(delete(StaffEntry).where(StaffEntry.number <= last))
