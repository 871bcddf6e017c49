"""Lists of assets: filtered, sorted and paged. A page of a million assets takes about as long as a
page of ten thousand.

There are two ways to read a page. *Walking* goes through an index in the wanted order and keeps
matching assets until the page is full: fast if many match. *Finding* reads all matching assets and
sorts them: fast if few match. The total is determined first and decides. ``facet_counts`` has it if
a filter has one condition only; otherwise the matches are counted, up to ``MAX_COUNTED``. See
docs/decisions/007-listing-totals.md and 037-search.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_

from app.models import Asset
from app.services.library import asset_query, facet_counts
from app.services.library import cursor as cursors
from app.services.library.asset_filter import Filter
from app.services.library.asset_query import SORT_COLUMNS
from app.services.library.cursor import Place, Sort
from app.tenancy import TenantSession

__all__ = ["AssetPage", "Filter", "Sort", "count", "ids_of", "page_of"]

DENSE_SHARE = 0.1
"""If at least this share of the assets match, walking fills a page sooner than finding reads all
matches."""


@dataclass(frozen=True)
class AssetPage:
    """``total`` counts all pages; if it is not exact, there are more. ``next_cursor`` is None on
    the last page."""

    assets: list[Asset]
    total: int
    total_is_exact: bool
    next_cursor: str | None


def page_of(
    session: TenantSession,
    chosen: Filter,
    sort: Sort,
    size: int,
    *,
    page: int = 1,
    cursor: str | None = None,
) -> AssetPage:
    """``size`` assets of the workspace: those after ``cursor`` if it is given, else those of page
    ``page``, from 1.

    Raises BadRequest for a cursor that no list in this order gave.
    """
    after = None if cursor is None else cursors.decode(cursor, sort)
    offset = 0 if after else (page - 1) * size
    plan = _plan(session, chosen) if chosen.can_match else None
    if plan is None or not plan.total:
        return AssetPage([], 0, total_is_exact=True, next_cursor=None)
    rows = _rows(session, chosen, sort.field, plan)
    assets = list(session.scalars(_assets(rows, sort, after, offset, size + 1)))
    has_more = len(assets) > size
    return AssetPage(
        assets=assets[:size],
        total=plan.total,
        total_is_exact=plan.is_exact,
        next_cursor=cursors.encode(sort, _place_of(assets[size - 1], sort)) if has_more else None,
    )


def ids_of(session: TenantSession, chosen: Filter, sort: Sort, most: int) -> list[str]:
    """The ids of the assets that match, in their order, at most ``most``."""
    plan = _plan(session, chosen) if chosen.can_match else None
    if plan is None or not plan.total:
        return []
    rows = _rows(session, chosen, sort.field, plan)
    key = (rows.selected_columns.value, rows.selected_columns.id)
    return list(session.scalars(rows.order_by(*_directed(key, sort)).limit(most)))


def count(session: TenantSession, chosen: Filter) -> int:
    """How many assets match, up to 10,000 where several conditions have to be counted."""
    return _plan(session, chosen).total if chosen.can_match else 0


@dataclass(frozen=True)
class _Plan:
    """How a filter is looked up: by what leads to the fewest assets, or by its text. ``numbers``
    holds the number of assets to which each of its facets and ranges leads."""

    numbers: dict[str, int]
    rarest: str
    by_text: bool
    total: int
    is_exact: bool


def _plan(session: TenantSession, chosen: Filter) -> _Plan:
    numbers = _numbers(session, chosen)
    most = asset_query.MAX_COUNTED
    rarest = min(numbers, key=numbers.__getitem__)
    if chosen.is_single:
        known = numbers[rarest]
        is_exact = not chosen.ranges or known <= most
        return _Plan(numbers, rarest, False, known if is_exact else most, is_exact)
    if not numbers[rarest]:
        return _Plan(numbers, rarest, by_text=False, total=0, is_exact=True)
    by_text = asset_query.may_use_text_index(session, chosen, numbers[rarest])
    counted = asset_query.count(session, chosen, rarest, by_text=by_text)
    return _Plan(numbers, rarest, by_text, min(counted, most), is_exact=counted <= most)


def _numbers(session: TenantSession, chosen: Filter) -> dict[str, int]:
    """Facets are counted already. Ranges are counted here, but those with much of the library."""
    of_kinds = chosen.kind_facets
    numbers = facet_counts.of(session, [facet_counts.ALL, *chosen.single_facets, *of_kinds])
    if len(of_kinds) > 1:
        numbers[asset_query.KINDS] = sum(numbers.pop(facet) for facet in of_kinds)
    for lead in chosen.ranges:
        most = min(asset_query.MAX_COUNTED + 1, *numbers.values())
        if most:
            counted = asset_query.count_in_range(session, chosen, lead, most)
            if counted < most:
                numbers[lead] = counted
    return numbers


def _rows(session: TenantSession, chosen: Filter, field: str, plan: _Plan) -> Select[Any]:
    """Select ``id`` and ``value`` of the matching assets in the faster way: by walking, or by
    finding all of them to be sorted."""
    walked = plan.rarest if asset_query.is_in_order(plan.rarest, field) else facet_counts.ALL
    # Kinds and sizes are in the index of uploads; other orders would look at each asset for them.
    looks = field != "uploadedAt" and bool(chosen.kinds or chosen.ranges)
    must_find = plan.by_text or walked != plan.rarest or looks
    is_dense = plan.total >= min(asset_query.MAX_COUNTED, DENSE_SHARE * plan.numbers[walked])
    if is_dense or not must_find:
        return asset_query.select_matching(session, chosen, walked, field, walks=True)
    rows = asset_query.select_matching(session, chosen, plan.rarest, field, by_text=plan.by_text)
    # The limit cuts nothing off; it keeps planners from walking.
    found = rows.limit(asset_query.MAX_COUNTED).subquery()
    return select(found.c.id, found.c.value)


def _assets(
    rows: Select[Any], sort: Sort, after: Place | None, offset: int, limit: int
) -> Select[Asset]:
    """The assets of a page. Its ids are selected first, so that skipped rows are read from an index
    alone."""
    key = (rows.selected_columns.value, rows.selected_columns.id)
    if after:
        rows = rows.where(tuple_(*key) < after if sort.is_descending else tuple_(*key) > after)
    page = rows.order_by(*_directed(key, sort)).offset(offset).limit(limit).subquery("page")
    return (
        select(Asset)
        .join(page, page.c.id == Asset.id)
        .order_by(*_directed((page.c.value, page.c.id), sort))
    )


def _directed(key: Iterable[ColumnElement[Any]], sort: Sort) -> list[ColumnElement[Any]]:
    return [part.desc() if sort.is_descending else part.asc() for part in key]


def _place_of(asset: Asset, sort: Sort) -> Place:
    return Place(getattr(asset, SORT_COLUMNS[sort.field].key), asset.id)
