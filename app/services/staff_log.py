"""The staff's log: what our own people did, to whom, and why.

Each entry holds the hash of the one before it, so that ``verify`` finds an entry that was changed,
and a gap where some were removed (docs/decisions/044).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, exists, func, select, update

from app.models import Actor, ActorKind, StaffEntry, StaffLogHead
from app.services.audit import changes
from app.tenancy import TenantSession, erasing

KEPT = timedelta(days=400)
FIRST_HASH = "0" * 64
PURGED = "log.purged"
SYSTEM = "system"
REASON_CHARACTERS = 500
SUBJECT_CHARACTERS = 255
BATCH = 1000
HEAD = update(StaffLogHead).where(StaffLogHead.id == 1)


@dataclass(frozen=True)
class Acting:
    """Who of the staff acts, and why."""

    actor: Actor
    email: str
    reason: str


@dataclass(frozen=True)
class Anchor:
    """An entry by its number and hash: where a chain begins, or ends."""

    number: int
    hash: str


@dataclass(frozen=True)
class Verdict:
    """What a look through the log found: how many entries are in order, and what is wrong with the
    next one, or None."""

    entries: int
    problem: str | None


def lock(session: TenantSession) -> None:
    """Let no other transaction of staff write until this one ends. Whoever locks the row of a
    person too does that first."""
    session.change(HEAD.values(number=StaffLogHead.number))


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
    old, new = changes(_stored(before or {}), _stored(after or {}))
    session.change(HEAD.values(number=StaffLogHead.number + 1))  # writers wait for each other here
    head = _head(session)
    entry = StaffEntry(
        number=head.number,
        user_id=who.actor.id,
        email=who.email,
        action=action,
        org_id=org_id,
        subject=subject and subject[:SUBJECT_CHARACTERS],
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
    session.change(HEAD.values(hash=entry.hash))
    return entry


def hash_of(entry: StaffEntry) -> str:
    """SHA-256 of all that an entry says and of the hash before it, in hexadecimal. It is the same
    for an entry that is read again, in whatever time zone the database answers."""
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
        "at": entry.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "previous": entry.previous_hash,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def verify(session: TenantSession) -> Verdict:
    """Read all of the log and say what is wrong with it. Entries that are added meanwhile are left
    for the next time."""
    while True:
        anchor = _purged_up_to(session)
        verdict = _verdict(session, anchor)
        if verdict.problem is None or anchor == _purged_up_to(session):
            return verdict


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove the entries of days that are more than ``KEPT`` ago, and say so in a new one, at most
    once a day. Returns how many.

    Numbers and times may differ in order by moments, so it stops at the first entry that stays.
    """
    until = datetime.combine((now - KEPT).astimezone(UTC).date(), time(), UTC)
    is_old = StaffEntry.created_at < until
    if not session.scalar(select(exists().where(is_old))):
        return 0
    lock(session)
    first_kept = session.scalar(
        select(func.min(StaffEntry.number)).where(StaffEntry.created_at >= until)
    )
    old = select(StaffEntry.number, StaffEntry.hash).where(is_old)
    if first_kept is not None:
        old = old.where(StaffEntry.number < first_kept)
    last = session.execute(old.order_by(StaffEntry.number.desc()).limit(1)).one_or_none()
    if last is None:
        return 0
    who = Acting(Actor(ActorKind.SYSTEM, SYSTEM), SYSTEM, f"Entries are kept for {KEPT.days} days.")
    record(session, who, PURGED, now, after={"upTo": last.number, "hash": last.hash})
    with erasing(session):
        return session.change(delete(StaffEntry).where(StaffEntry.number <= last.number))


def _verdict(session: TenantSession, anchor: Anchor) -> Verdict:
    newest = session.scalar(select(func.max(StaffEntry.number))) or 0
    head = _head(session)
    entries = (
        select(StaffEntry)
        .where(StaffEntry.number > anchor.number, StaffEntry.number <= head.number)
        .order_by(StaffEntry.number)
    )
    last, found = anchor, 0
    with session.scalars(entries, execution_options={"yield_per": BATCH}) as rows:
        for entry in rows:
            if entry.number != last.number + 1:
                return Verdict(found, f"Entry {last.number + 1} is missing.")
            if entry.previous_hash != last.hash or entry.hash != hash_of(entry):
                return Verdict(found, f"Entry {entry.number} was changed.")
            last, found = Anchor(entry.number, entry.hash), found + 1
    if last.number < head.number:
        return Verdict(found, f"Entries after {last.number} are missing.")
    if last.hash != head.hash:
        return Verdict(found, f"Entry {last.number} is not the one that was written last.")
    if newest > head.number:
        return Verdict(found, f"Entry {newest} was added past the log.")
    return Verdict(found, None)


def _head(session: TenantSession) -> Anchor:
    row = session.execute(select(StaffLogHead.number, StaffLogHead.hash)).one()
    return Anchor(row.number, row.hash)


def _purged_up_to(session: TenantSession) -> Anchor:
    """The last entry that was removed for its age."""
    purge = select(StaffEntry.after).where(StaffEntry.action == PURGED)
    after = session.scalar(purge.order_by(StaffEntry.number.desc()).limit(1))
    return Anchor(after["upTo"], after["hash"]) if after else Anchor(0, FIRST_HASH)


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they will be read again, so that their hash is the same then."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=_plain, allow_nan=False))
    return plain


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in the log")
