"""Which organizations stand in a list after a place, read in one of two ways.

Staff look for one of many organizations by signs that few have. If one of the conditions has an
index and few organizations meet it, all of these are read and sorted here. Otherwise the
organizations are read in the order of the list, through its index, until the page is full; then no
condition may lead SQLite, which has no statistics, to another index (``_apart``).

In each order the organizations without a value come last: those that have used or stored nothing,
or were never seen.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)

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


class _Search(NamedTuple):
    """Up to ``size`` places after ``place`` are looked for, in the order of the list."""

    session: TenantSession
    order: _Order
    conditions: list[ColumnElement[bool]]
    place: Place | None
    size: int


def places(
    session: TenantSession, wanted: Wanted, now: datetime, place: Place | None, size: int
) -> list[Place]:
    """Up to ``size`` places after ``place``, or the first ones."""
    # PostgreSQL has statistics, and plans well if it sees the columns themselves.
    column = _apart if session.get_bind().dialect.name == "sqlite" else _plain
    conditions = list(_conditions(wanted, now, column))
    search = _Search(session, _order(wanted.sort, now), conditions, place, size)
    few = _few(session, wanted, now)
    return _walked(search) if few is None else _sorted(search, few)


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
        yield _begins_with(Organization.folded_name, wanted.text)
    if wanted.plan:
        # Its own code says nothing once a grant or a payment's respite is over.
        yield or_(
            Organization.plan_code == wanted.plan,
            Organization.plan_lapses_at <= now,
            Organization.granted_until <= now,
        )


def _conditions(
    wanted: Wanted, now: datetime, column: Callable[[Any], ColumnElement[Any]]
) -> Iterator[ColumnElement[bool]]:
    """All conditions. ``column`` makes of a column what stands in them."""
    signs = {
        State.DELETING: Organization.delete_at,
        State.SUSPENDED: Organization.suspended_at,
        State.OVERDUE: Organization.plan_lapses_at,
        State.UNCONFIRMED: Organization.confirm_by,
    }
    deleted_at = column(Organization.deleted_at)
    yield deleted_at.is_not(None) if wanted.state is State.DELETED else deleted_at.is_(None)
    if wanted.state is State.ACTIVE:
        yield from (column(sign).is_(None) for sign in signs.values())
    elif wanted.state in signs:
        yield column(signs[wanted.state]).is_not(None)
    if wanted.flagged:
        yield column(Organization.flag).is_not(None)
    if wanted.plan:
        yield Organization.plan_code_at(now) == wanted.plan
    if wanted.text:
        yield _begins_with(column(Organization.folded_name), wanted.text)


def _begins_with(name: Any, text: str) -> ColumnElement[bool]:
    """The texts are written into the statement, because PostgreSQL would otherwise use one plan for
    all, and take any range for a small one."""
    last = text + LAST_CHARACTER * (FOLDED_CHARACTERS - len(text))
    first, last_bound = (
        bindparam(None, one, type_=Organization.folded_name.type, literal_execute=True)
        for one in (text, last)
    )
    return and_(name >= first, name <= last_bound)


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


def _sorted(search: _Search, few: Select[Any]) -> list[Place]:
    """Among few organizations."""
    order, value = search.order, search.order.value
    if order.has is None:
        value = null()
    elif order.org_id is not Organization.id:
        # Looked up one by one: PostgreSQL would read the whole table of a join.
        own = order.org_id == Organization.id
        value = select(order.value).where(own, order.has).scalar_subquery()
    statement = select(value, Organization.id).where(Organization.id.in_(few), *search.conditions)
    found = [Place(*row) for row in search.session.execute(statement)]
    ordered = _in_order(found, descending=order.descending)
    if search.place is None:
        return ordered[: search.size]
    # Where it stood among them, wherever that is now.
    after = _in_order([*ordered, search.place], descending=order.descending)
    rest = islice(after, after.index(search.place) + 1, None)
    return [one for one in rest if one != search.place][: search.size]


def _in_order(places: list[Place], *, descending: bool) -> list[Place]:
    ranked = [one for one in places if one.value is not None]
    rest = [one for one in places if one.value is None]
    by_id, by_value = itemgetter(1), itemgetter(0, 1)
    return [
        *sorted(ranked, key=by_value, reverse=descending),
        *sorted(rest, key=by_id, reverse=descending),
    ]


def _walked(search: _Search) -> list[Place]:
    """Through an index: first those with a value, then the others."""
    order, place = search.order, search.place
    found: list[Place] = []
    if order.has is not None and (place is None or place.value is not None):
        found = _ranked(search, order.has)
        search = search._replace(place=None)
    if len(found) < search.size:
        found += _rest(search._replace(size=search.size - len(found)))
    return found


def _ranked(search: _Search, has: ColumnElement[bool]) -> list[Place]:
    order, place = search.order, search.place
    statement = select(order.value, order.org_id).where(has, *search.conditions)
    if order.org_id is not Organization.id:
        statement = statement.join(Organization, Organization.id == order.org_id)
    if place:
        here, value = tuple_(order.value, order.org_id), literal(place.value, order.value.type)
        there = tuple_(value, literal(place.id, order.org_id.type))
        statement = statement.where(here < there if order.descending else here > there)
    by = (order.value, order.org_id)
    if order.descending:
        by = (order.value.desc(), order.org_id.desc())
    rows = search.session.execute(statement.order_by(*by).limit(search.size))
    return [Place(*row) for row in rows]


def _rest(search: _Search) -> list[Place]:
    order, place, own = search.order, search.place, Organization.id
    statement = select(own).where(*search.conditions)
    if order.has is not None and order.org_id is own:
        statement = statement.where(order.value.is_(None))
    elif order.has is not None:
        statement = statement.where(~exists().where(order.org_id == own, order.has))
    if place:
        statement = statement.where(own < place.id if order.descending else own > place.id)
    statement = statement.order_by(own.desc() if order.descending else own)
    return [Place(None, row) for row in search.session.scalars(statement.limit(search.size))]


def _plain(attribute: Any) -> Any:
    return attribute


def _apart(attribute: Any) -> ColumnElement[Any]:
    """The attribute's value, which no index serves."""
    return func.coalesce(attribute, attribute)
