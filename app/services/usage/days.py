"""Daily figures of images: written where a reservation is settled, read by the pages about usage.

Days are in UTC. Nothing here reads the ledger, so the pages stay quick however long it grows.

What staff correct is written here too, a credit as a negative number, so that the days of a month
add up to its counter. Charts and lists of consumers leave it out: they tell what was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Row, and_, case, func, select

from app.models import Actor, ActorKind, ApiKey, Mode, UsageDay, User
from app.services.accounts import keys
from app.tenancy import TenantSession, insert_or_add

SURFACES = {"compress": "Compress", "image": "Images API", "rendition": "Workspace"}
"""Kinds of work, as people know them."""
CORRECTION, CREDIT = "correction", "credit"
"""Kinds of entries that no work made: images that staff have added, or taken away."""
OTHERS = "Others"
MOST_SERIES = 3
"""A chart by key shows so many, and the rest as one."""


@dataclass(frozen=True)
class Chart:
    """The images of each day, the first day first, in several series."""

    series: list[str]
    days: list[tuple[date, list[int]]]

    @property
    def total(self) -> int:
        return sum(sum(values) for _, values in self.days)


@dataclass(frozen=True)
class Consumer:
    """Who made images: a person, or a key with all keys that it was rotated into."""

    kind: ActorKind
    id: str
    name: str
    images: int


def add(
    session: TenantSession, day: date, mode: Mode, kind: str, actor: Actor, images: int
) -> None:
    """Count images of a settled reservation, or of a correction; those of a credit are negative."""
    row = {
        "day": day,
        "mode": mode,
        "kind": kind,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "images": images,
    }
    insert_or_add(session, UsageDay, "images", [row])


def by_surface(session: TenantSession, mode: Mode, first: date, last: date) -> Chart:
    """The images of each day by the API that made them."""
    rows = session.execute(
        select(UsageDay.day, UsageDay.kind, func.sum(UsageDay.images))
        .where(_between(mode, first, last))
        .group_by(UsageDay.day, UsageDay.kind)
    ).all()
    return _chart(rows, SURFACES, first, last)


def by_consumer(
    session: TenantSession, mode: Mode, first: date, last: date, consumers: Sequence[Consumer]
) -> Chart:
    """The images of each day by those of ``consumers`` who made most, and by all others together.
    ``consumers`` are those of the same days."""
    top = {one.id: one.name for one in consumers[:MOST_SERIES]}
    who = case((_line().in_(top), _line()), else_=OTHERS)
    rows = session.execute(
        select(UsageDay.day, who, func.sum(UsageDay.images))
        .outerjoin(ApiKey, _is_its_key())
        .where(_between(mode, first, last))
        .group_by(UsageDay.day, who)
    ).all()
    others = {OTHERS: OTHERS} if len(consumers) > MOST_SERIES else {}
    return _chart(rows, top | others, first, last)


def consumers(
    session: TenantSession, mode: Mode, first: date, last: date, most: int
) -> list[Consumer]:
    """Who made images in these days, those who made most first; at most ``most``."""
    totals = (
        select(
            UsageDay.actor_kind.label("kind"),
            _line().label("id"),
            func.max(ApiKey.id).label("newest_key"),
            func.sum(UsageDay.images).label("images"),
        )
        .outerjoin(ApiKey, _is_its_key())
        .where(_between(mode, first, last))
        .group_by(UsageDay.actor_kind, _line())
        .order_by(func.sum(UsageDay.images).desc(), _line())
        .limit(most)
        .subquery()
    )
    rows = session.execute(
        select(totals, ApiKey.name, ApiKey.last4, func.coalesce(User.name, User.email))
        .outerjoin(ApiKey, ApiKey.id == totals.c.newest_key)
        .outerjoin(User, and_(totals.c.kind == ActorKind.USER, User.id == totals.c.id))
        .order_by(totals.c.images.desc(), totals.c.id)
    )
    return [
        Consumer(ActorKind(kind), id, _name(ActorKind(kind), key_name, last4, person), int(images))
        for kind, id, _newest, images, key_name, last4, person in rows
    ]


def corrected(session: TenantSession, mode: Mode, first: date, last: date) -> int:
    """By how many images staff have corrected these days."""
    total = select(func.sum(UsageDay.images)).where(
        UsageDay.day.between(first, last),
        UsageDay.mode == mode,
        UsageDay.kind.in_((CORRECTION, CREDIT)),
    )
    return int(session.scalar(total) or 0)


def _between(mode: Mode, first: date, last: date) -> ColumnElement[bool]:
    """The images that were made in these days."""
    return and_(
        UsageDay.day.between(first, last),
        UsageDay.mode == mode,
        UsageDay.kind.not_in((CORRECTION, CREDIT)),
    )


def _is_its_key() -> ColumnElement[bool]:
    return and_(UsageDay.actor_kind == ActorKind.KEY, ApiKey.id == UsageDay.actor_id)


def _line() -> ColumnElement[str]:
    """The first of the keys that were rotated into the actor; for people, the actor."""
    return func.coalesce(ApiKey.original_key_id, UsageDay.actor_id)


def _name(kind: ActorKind, key_name: str | None, last4: str | None, person: str | None) -> str:
    if kind is ActorKind.KEY:
        return keys.label(key_name, last4) if key_name and last4 else "A deleted key"
    return person or ("Someone who left" if kind is ActorKind.USER else "Lightwell")


def _chart(
    rows: Sequence[Row[date, str, int]], names: dict[str, str], first: date, last: date
) -> Chart:
    """Put (day, series, images) rows in order; days and series without images are 0."""
    found = {(day, series): int(images) for day, series, images in rows}
    extra = sorted({series for _, series in found} - names.keys())
    names = names | {series: series.capitalize() for series in extra}
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return Chart(
        list(names.values()),
        [(day, [found.get((day, series), 0) for series in names]) for day in days],
    )
