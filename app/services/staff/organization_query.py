"""Which organizations stand in a list after a place, read in one of two ways.

Staff look for one of many organizations by signs that few have. If one of the conditions has an
index and few organizations meet it, all of these are read and sorted here. Otherwise the
organizations are read in the order of the list, through its index, until the page is full; then no
condition may lead the database to another index (``_conditions``).

In each order the organizations without a value come last: those that have used or stored nothing,
or were never seen.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select, tuple_

from app.models import Organization, StorageCounter, UsageCounter
from app.models.directory import FOLDED_CHARACTERS
from app.models.types import EPOCH
from app.services.staff.cursor import Place
from app.services.staff.organization_filter import Sort, State, Wanted
from app.services.usage.periods import period_of
from app.tenancy import TenantSession

FEW = 5000
"""So many organizations are read and sorted at once rather than found in the order of the list."""
LAST_CHARACTER = "\U0010ffff"


class _Order(NamedTuple):
    """How a list is sorted: by a column, in a table whose organization
    is ``org_id``. ``has`` finds the rows with a value; None where no order but that of the ids
    holds."""

    value: Any
    org_id: Any
    has: ColumnElement[bool] | None = None
    descending: bool = True


def places(
    session: TenantSession, wanted: Wanted, now: datetime, place: Place | None, size: int
) -> list[Place]:
    """Up to ``size`` places after ``place``, or the first ones."""
    few = _few(session, wanted, now)
    if few is None:
        return _walked(session, wanted, now, place, size)
    return _sorted(session, wanted, now, few, place, size)


def _few(session: TenantSession, wanted: Wanted, now: datetime) -> Select[Any] | None:
    """Select the ids of few organizations among which are all that are wanted; None if no condition
    is met by few."""
    for lead in _leads(wanted, now):
        ids = select(Organization.id).where(lead).limit(FEW + 1)
        if (session.scalar(select(func.count()).select_from(ids.subquery())) or 0) <= FEW:
            return ids
    return None


def _leads(wanted: Wanted, now: datetime) -> Iterator[ColumnElement[bool]]:
    """The conditions that an index serves, those that fewest organizations meet first."""
    signs = {
        State.SUSPENDED: Organization.suspended_at.is_not(None),
        State.DELETING: Organization.delete_at >= EPOCH,
        State.OVERDUE: Organization.plan_lapses_at >= EPOCH,
        State.UNCONFIRMED: Organization.confirm_by.is_not(None),
        State.DELETED: Organization.deleted_at.is_not(None),
    }
    if wanted.flagged:
        yield Organization.flag.is_not(None)
    if wanted.state in signs:
        yield signs[wanted.state]
    if wanted.text:
        yield and_(
            Organization.folded_name >= wanted.text,
            Organization.folded_name <= _last_with(wanted.text),
        )
    if wanted.plan:
        # Its own code says nothing once a grant or a payment's respite is over.
        yield or_(
            Organization.plan_code == wanted.plan,
            Organization.plan_lapses_at <= now,
            Organization.granted_until <= now,
        )


def _conditions(wanted: Wanted, now: datetime) -> Iterator[ColumnElement[bool]]:
    """All conditions, in a form that no index serves."""
    signs = {
        State.DELETING: Organization.delete_at,
        State.SUSPENDED: Organization.suspended_at,
        State.OVERDUE: Organization.plan_lapses_at,
        State.UNCONFIRMED: Organization.confirm_by,
    }
    yield (
        _apart(Organization.deleted_at).is_not(None)
        if wanted.state is State.DELETED
        else (_apart(Organization.deleted_at).is_(None))
    )
    if wanted.state is State.ACTIVE:
        yield from (_apart(sign).is_(None) for sign in signs.values())
    elif wanted.state in signs:
        yield _apart(signs[wanted.state]).is_not(None)
    if wanted.flagged:
        yield _apart(Organization.flag).is_not(None)
    if wanted.plan:
        yield Organization.plan_code_at(now) == wanted.plan
    if wanted.text:
        name = _apart(Organization.folded_name)
        yield and_(name >= wanted.text, name <= _last_with(wanted.text))


def _order(sort: Sort, now: datetime) -> _Order:
    own, counter, stored = Organization, UsageCounter, StorageCounter
    if sort is Sort.NAME:
        return _Order(own.folded_name, own.id, own.folded_name >= "", descending=False)
    if sort is Sort.SEEN:
        return _Order(own.last_seen_at, own.id, own.last_seen_at >= EPOCH)
    if sort is Sort.USAGE:
        this_month = counter.period == period_of(now)
        return _Order(counter.used, counter.org_id, and_(this_month, counter.used > 0))
    if sort is Sort.STORAGE:
        return _Order(stored.bytes, stored.org_id, stored.bytes > 0)
    return _Order(own.id, own.id)


def _sorted(
    session: TenantSession,
    wanted: Wanted,
    now: datetime,
    few: Select[Any],
    place: Place | None,
    size: int,
) -> list[Place]:
    """The places after ``place``, among few organizations."""
    order = _order(wanted.sort, now)
    statement = select(Organization.id, order.value).where(
        Organization.id.in_(few), *_conditions(wanted, now)
    )
    if order.has is not None and order.org_id is not Organization.id:
        joined = and_(order.org_id == Organization.id, order.has)
        statement = statement.outerjoin(order.org_id.class_, joined)
    places = [
        Place(value if order.has is not None else None, row_id)
        for row_id, value in session.execute(statement)
    ]
    ordered = _in_order(places, descending=order.descending)
    if place is None:
        return ordered[:size]
    # Where it stood among them, wherever that is now.
    after = _in_order([*ordered, place], descending=order.descending)
    return [one for one in islice(after, after.index(place) + 1, None) if one != place][:size]


def _in_order(places: list[Place], *, descending: bool) -> list[Place]:
    ranked = [one for one in places if one.value is not None]
    rest = [one for one in places if one.value is None]
    by_id, by_value = itemgetter(1), itemgetter(0, 1)
    return [
        *sorted(ranked, key=by_value, reverse=descending),
        *sorted(rest, key=by_id, reverse=descending),
    ]


def _walked(
    session: TenantSession, wanted: Wanted, now: datetime, place: Place | None, size: int
) -> list[Place]:
    """The places after ``place``, in the order of an index: first those with a value, then the
    others."""
    order = _order(wanted.sort, now)
    found: list[Place] = []
    if order.has is not None and (place is None or place.value is not None):
        found = _ranked(session, wanted, now, order, order.has, place, size)
        place = None
    if len(found) < size:
        found += _rest(session, wanted, now, order, place, size - len(found))
    return found


def _ranked(
    session: TenantSession,
    wanted: Wanted,
    now: datetime,
    order: _Order,
    has: ColumnElement[bool],
    place: Place | None,
    size: int,
) -> list[Place]:
    statement = select(order.value, order.org_id).where(has, *_conditions(wanted, now))
    if order.org_id is not Organization.id:
        statement = statement.join(Organization, Organization.id == order.org_id)
    if place:
        here, value = tuple_(order.value, order.org_id), literal(place.value, order.value.type)
        there = tuple_(value, literal(place.id, order.org_id.type))
        statement = statement.where(here < there if order.descending else here > there)
    by = (order.value, order.org_id)
    if order.descending:
        by = (order.value.desc(), order.org_id.desc())
    return [Place(*row) for row in session.execute(statement.order_by(*by).limit(size))]


def _rest(
    session: TenantSession,
    wanted: Wanted,
    now: datetime,
    order: _Order,
    place: Place | None,
    size: int,
) -> list[Place]:
    own = Organization.id
    statement = select(own).where(*_conditions(wanted, now))
    if order.has is not None and order.org_id is own:
        statement = statement.where(order.value.is_(None))
    elif order.has is not None:
        statement = statement.where(~exists().where(order.org_id == own, order.has))
    if place:
        statement = statement.where(own < place.id if order.descending else own > place.id)
    by = own.desc() if order.descending else own
    return [Place(None, row_id) for row_id in session.scalars(statement.order_by(by).limit(size))]


def _last_with(beginning: str) -> str:
    """The last folded name that begins so, in the order of the bytes."""
    return beginning + LAST_CHARACTER * (FOLDED_CHARACTERS - len(beginning))


def _apart(attribute: Any) -> ColumnElement[Any]:
    """The attribute's value, which no index serves."""
    return func.coalesce(attribute, attribute)
