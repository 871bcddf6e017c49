"""Spend caps: ceilings of live images a month that an organization gives itself or one of its keys.

The organization's cap is a part of the conditional UPDATE of its counter (``reservations``). A key
with a cap has a counter of its own for the month, shared by all keys that it was rotated into: the
*line*, named by its first key, whose cap counts.

The counter of a line is made from what the month has used, when the cap is set or at the first use
in a new month. Whoever makes or raises it has locked the organization's counter of that month
before, and whoever ends a reservation locks that one first too. So a line's counter, once it is
there, is exact, whichever requests are under way, and stays exact when the cap is taken away.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, or_, select, update
from sqlalchemy.orm import aliased

from app.errors import NotFound
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    EntryState,
    KeyCounter,
    Mode,
    Organization,
    UsageCounter,
    UsageDay,
    UsageEntry,
)
from app.services import audit
from app.services.accounts import keys
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.usage.periods import next_period, period_of
from app.tenancy import TenantSession, insert_if_absent

HIGHEST = 1_000_000_000
"""Images; what a form may ask for."""


@dataclass(frozen=True)
class Cap:
    """A ceiling in a month. ``taken`` images are used or set aside under it."""

    of: Literal["organization", "key"]
    key_id: str | None
    name: str
    limit: int
    taken: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.taken)


@dataclass(frozen=True)
class LiveKey:
    """A live key, the newest of its line. ``taken`` is only counted where it has a ``cap``."""

    id: str
    label: str
    cap: int | None
    taken: int

    @property
    def left(self) -> float:
        return math.inf if self.cap is None else max(0, self.cap - self.taken)


def set_for_organization(
    session: TenantSession, principal: Principal, cap: int | None, now: datetime
) -> None:
    """Set the organization's cap, or take it away with None. Work that is under way may finish.
    Raises RoleTooLow."""
    principal.require(Action.SET_CAPS)
    organization = session.get_one(Organization, principal.org_id, with_for_update=True)
    before, organization.image_cap = organization.image_cap, cap
    audit.record(
        session,
        principal.actor,
        "organization.cap_changed",
        {"image_cap": before},
        {"image_cap": cap},
        now,
    )


def set_for_key(
    session: TenantSession, principal: Principal, key_id: str, cap: int | None, now: datetime
) -> None:
    """Set the cap of a live key and of all keys of its line, or take it away with None. Raises
    RoleTooLow, NotFound."""
    principal.require(Action.SET_CAPS)
    first = session.scalar(
        select(ApiKey).where(
            ApiKey.id == _first_of(key_id),
            ApiKey.org_id == principal.org_id,
            ApiKey.mode == Mode.LIVE,
        )
    )
    if first is None:
        raise NotFound("There is no such live key in this organization.")
    period = period_of(now)
    _lock_month(session, period)
    before, first.image_cap = first.image_cap, cap
    if cap is not None:
        _make_counter(session, first.id, period)
    audit.record(
        session,
        principal.actor,
        "key.cap_changed",
        {"key": None, "image_cap": before},
        {"key": first.id, "image_cap": cap} if before != cap else {},
        now,
    )


def reserve(session: TenantSession, actor: Actor, period: date, images: int) -> bool:
    """Set ``images`` aside under the cap of the actor's key. Returns False if it has no room for
    them. The caller holds the lock of the organization's counter."""
    if actor.kind is not ActorKind.KEY:
        return True
    row = session.execute(
        select(ApiKey.id, ApiKey.image_cap, KeyCounter.key_id.label("counter"))
        .outerjoin(KeyCounter, and_(KeyCounter.key_id == ApiKey.id, KeyCounter.period == period))
        .where(ApiKey.id == _first_of(actor.id))
    ).one_or_none()
    if row is None or (row.image_cap is None and row.counter is None):
        return True
    if row.counter is None:
        _make_counter(session, row.id, period)
    statement = update(KeyCounter).where(KeyCounter.key_id == row.id, KeyCounter.period == period)
    if row.image_cap is not None:
        statement = statement.where(KeyCounter.used + KeyCounter.reserved + images <= row.image_cap)
    return bool(session.change(statement.values(reserved=KeyCounter.reserved + images)))


def close(session: TenantSession, actor: Actor, period: date, reserved: int, used: int) -> None:
    """Count ``used`` of the ``reserved`` images of an ended reservation, if the actor is a key
    whose line has a counter."""
    if actor.kind is not ActorKind.KEY:
        return
    session.change(
        update(KeyCounter)
        .where(KeyCounter.key_id == _first_of(actor.id), KeyCounter.period == period)
        .values(reserved=KeyCounter.reserved - reserved, used=KeyCounter.used + used)
    )


def allowed_by_organization(org_id: str, images: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the organization's cap allows so many images in a month, as a condition of the
    statement that counts them."""
    cap = select(Organization.image_cap).where(Organization.id == org_id).scalar_subquery()
    return or_(cap.is_(None), images <= cap)


def of_principal(session: TenantSession, principal: Principal, period: date) -> list[Cap]:
    """The caps that live images of the principal fall under: the organization's, and its key's."""
    found = [cap] if (cap := of_organization(session, principal.org_id, period)) else []
    if principal.actor.kind is not ActorKind.KEY:
        return found
    return found + _of_key(session, period, principal.actor.id)


def of_organization(session: TenantSession, org_id: str, period: date) -> Cap | None:
    row = session.execute(
        select(Organization.image_cap, UsageCounter.used, UsageCounter.reserved)
        .outerjoin(
            UsageCounter,
            and_(UsageCounter.org_id == Organization.id, UsageCounter.period == period),
        )
        .where(Organization.id == org_id)
    ).one()
    if row.image_cap is None:
        return None
    return Cap(
        "organization", None, "organization", row.image_cap, (row.used or 0) + (row.reserved or 0)
    )


def of_keys(session: TenantSession, org_id: str, period: date, now: datetime) -> list[LiveKey]:
    """The live keys of an organization that work, one of each line, with their caps; those with the
    least room first."""
    first = aliased(ApiKey)
    rows = session.execute(
        select(
            first.id.label("first_id"),
            ApiKey.id,
            ApiKey.name,
            ApiKey.last4,
            first.image_cap,
            (KeyCounter.used + KeyCounter.reserved).label("taken"),
        )
        .join(first, first.id == func.coalesce(ApiKey.original_key_id, ApiKey.id))
        .outerjoin(KeyCounter, and_(KeyCounter.key_id == first.id, KeyCounter.period == period))
        .where(
            ApiKey.org_id == org_id,
            ApiKey.mode == Mode.LIVE,
            keys.is_usable(now),
        )
        .order_by(ApiKey.id)
    )
    newest = {
        row.first_id: LiveKey(row.id, f"{row.name} (…{row.last4})", row.image_cap, row.taken or 0)
        for row in rows
    }
    return sorted(newest.values(), key=lambda key: (key.left, key.label))


def of_everybody(session: TenantSession, org_id: str, period: date, now: datetime) -> list[Cap]:
    """All caps of an organization: its own, and those of its keys."""
    own = of_organization(session, org_id, period)
    of_lines = [
        Cap("key", key.id, key.label, key.cap, key.taken)
        for key in of_keys(session, org_id, period, now)
        if key.cap is not None
    ]
    return [own, *of_lines] if own else of_lines


def _of_key(session: TenantSession, period: date, key_id: str) -> list[Cap]:
    rows = session.execute(
        select(ApiKey.id, ApiKey.name, ApiKey.image_cap, KeyCounter.used, KeyCounter.reserved)
        .outerjoin(KeyCounter, and_(KeyCounter.key_id == ApiKey.id, KeyCounter.period == period))
        .where(ApiKey.id == _first_of(key_id), ApiKey.image_cap.is_not(None))
    )
    return [
        Cap("key", row.id, row.name, row.image_cap, (row.used or 0) + (row.reserved or 0))
        for row in rows
    ]


def _first_of(key_id: str) -> ScalarSelect[str]:
    """The id of the first key of a line."""
    return (
        select(func.coalesce(ApiKey.original_key_id, ApiKey.id))
        .where(ApiKey.id == key_id)
        .scalar_subquery()
    )


def _lock_month(session: TenantSession, period: date) -> None:
    insert_if_absent(session, UsageCounter, period=period, used=0, reserved=0)
    session.change(
        update(UsageCounter)
        .where(UsageCounter.period == period)
        .values(reserved=UsageCounter.reserved)
    )


def _make_counter(session: TenantSession, first_id: str, period: date) -> None:
    """Make a line's counter from what the month has used and has under way, unless it is there."""
    line = select(ApiKey.id).where(
        or_(ApiKey.id == first_id, ApiKey.original_key_id == first_id),
    )
    used = select(func.coalesce(func.sum(UsageDay.images), 0)).where(
        UsageDay.mode == Mode.LIVE,
        UsageDay.day >= period,
        UsageDay.day < next_period(period),
        UsageDay.actor_kind == ActorKind.KEY,
        UsageDay.actor_id.in_(line),
    )
    reserved = select(func.coalesce(func.sum(UsageEntry.images), 0)).where(
        UsageEntry.state == EntryState.RESERVED,
        UsageEntry.period == period,
        UsageEntry.actor_kind == ActorKind.KEY,
        UsageEntry.actor_id.in_(line),
    )
    insert_if_absent(
        session,
        KeyCounter,
        key_id=first_id,
        period=period,
        used=session.scalar(used),
        reserved=session.scalar(reserved),
    )
