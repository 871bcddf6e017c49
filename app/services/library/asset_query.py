"""Statements that select the assets that match a filter, through one chosen index.

What *leads* to the assets is ``all``, a facet of the filter, or one of its ranges: there is an
index for each. All other conditions are written so that no index serves them (``_apart``,
``_contains``). A planner would have to guess how many rows they match: SQLite has no statistics,
and PostgreSQL has none about the words that are searched.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Label,
    Select,
    Subquery,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.models import Asset, AssetTag
from app.services.library import facet_counts
from app.services.library.asset_filter import DATES, PUBLISHED, SIZES, Filter
from app.tenancy import TenantSession

MAX_COUNTED = 10_000
"""Matches are counted up to this number; a larger total is not exact."""
TEXT_MATCHES_PER_COUNTED = 2
"""SQLite's text index is used up to so many times ``MAX_COUNTED`` entries. Reading that many assets
by their number takes no longer than reading the library until as many matches are found."""
INDEXED_LETTERS = 3
"""The text indexes know runs of three letters, so they find nothing shorter."""
KINDS = "kinds"
"""Leads to the assets of any of several kinds."""

SORT_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "uploadedAt": Asset.uploaded_at,
    "name": Asset.sort_name,
    "size": Asset.size,
}
"""The column that assets are sorted by, for each ``Sort.field``."""
SQLITE_INDEXES = {
    facet_counts.ALL: "ix_assets_uploaded",
    SIZES: "ix_assets_size",
    DATES: "ix_assets_uploaded",
    PUBLISHED: "ix_assets_published",
}
"""The indexes that lead to assets where SQLite, without statistics, might take another one."""


def is_in_order(lead: str, field: str) -> bool:
    """Whether an index holds the assets that ``lead`` leads to in the order of ``field``."""
    if lead == KINDS:
        return False
    if lead == SIZES:
        return field == "size"
    in_every_order = (facet_counts.ALL, facet_counts.of_type(""), facet_counts.of_collection(""))
    return field == "uploadedAt" or lead.startswith(in_every_order)


def select_matching(
    session: TenantSession,
    chosen: Filter,
    lead: str,
    field: str,
    *,
    by_text: bool = False,
    walks: bool = False,
) -> Select[Any]:
    """Select ``id`` and ``value`` (of ``field``) of the assets that match ``chosen``, without an
    order.

    They are read through the index of ``lead``. If it ``walks``, the reader wants them in the order
    of ``field`` and stops early; ``lead`` is in that order. With ``by_text`` SQLite uses its text
    index instead, which ``may_use_text_index`` has found to be short; PostgreSQL may use its own.
    """
    dialect = session.get_bind().dialect.name
    words = [_contains(dialect, word) for word in chosen.words]
    if by_text and dialect == "sqlite":
        found = _text_matches(_indexed(chosen), TEXT_MATCHES_PER_COUNTED * MAX_COUNTED)
        statement = _of_assets(SORT_COLUMNS[field]).join(
            found, literal_column("assets.rowid") == found.c.number
        )
        return statement.where(*_conditions(chosen, "", Asset), *words)
    model, statement = _led(chosen, lead, field)
    in_order = field if walks else None
    statement = statement.where(*_conditions(chosen, lead, model, in_order))
    if by_text:
        indexed = _indexed(chosen)
        like = [Asset.search.like(_literal(f"%{_escaped(word)}%")) for word in indexed]
        rest = [_contains(dialect, word) for word in chosen.words if word not in indexed]
        return statement.where(*like, *rest)
    if model is Asset and lead in SQLITE_INDEXES and (lead == PUBLISHED or not walks):
        statement = statement.with_hint(Asset, f"INDEXED BY {SQLITE_INDEXES[lead]}", "sqlite")
    return statement.where(*words)


def count(session: TenantSession, chosen: Filter, lead: str, *, by_text: bool) -> int:
    """How many assets match, counted up to ``MAX_COUNTED`` + 1."""
    rows = select_matching(session, chosen, lead, "uploadedAt", by_text=by_text)
    if not by_text and lead not in (SIZES, KINDS) and session.get_bind().dialect.name == "sqlite":
        # SQLite could take any of several indexes. Rows are stored in the order of their upload, so
        # they are read fastest in that order.
        rows = rows.order_by(rows.selected_columns.value, rows.selected_columns.id)
    most = rows.limit(MAX_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(most)) or 0


def count_in_range(session: TenantSession, chosen: Filter, lead: str, most: int) -> int:
    """How many assets are in one of the ranges of ``chosen``, counted up to ``most``."""
    rows = select(Asset.id).where(*_within(chosen, lead))
    rows = rows.with_hint(Asset, f"INDEXED BY {SQLITE_INDEXES[lead]}", "sqlite")
    found = rows.limit(most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def may_use_text_index(session: TenantSession, chosen: Filter, instead_of: int) -> bool:
    """Whether the text index is better than another index that leads to ``instead_of`` assets.

    PostgreSQL's planner decides that from its statistics. SQLite has none, so up to ``instead_of``
    matches are counted in its index. They are matches of all organizations; the number only chooses
    the index and is never shown.
    """
    indexed = _indexed(chosen)
    if not indexed:
        return False
    if session.get_bind().dialect.name == "postgresql":
        return True
    most = min(instead_of, TEXT_MATCHES_PER_COUNTED * MAX_COUNTED)
    matches = session.scalar(select(func.count()).select_from(_text_matches(indexed, most)))
    return matches is not None and matches < most


def _indexed(chosen: Filter) -> list[str]:
    return [word for word in chosen.words if len(word) >= INDEXED_LETTERS]


def _led(chosen: Filter, lead: str, field: str) -> tuple[type[Asset] | type[AssetTag], Select[Any]]:
    """What is selected from: assets, or the rows of the tag that leads."""
    for key in chosen.tag_keys:
        if facet_counts.of_tag(key) == lead:
            return AssetTag, _of_tag(key, field, chosen)
    return Asset, _of_assets(SORT_COLUMNS[field])


def _of_assets(value: InstrumentedAttribute[Any]) -> Select[Any]:
    return select(Asset.id.label("id"), value.label("value")).select_from(Asset)


def _of_tag(key: str, field: str, chosen: Filter) -> Select[Any]:
    """Select from the rows of a tag, joined to assets only if the filter or the order needs
    them."""
    by_upload = field == "uploadedAt"
    value = AssetTag.uploaded_at if by_upload else SORT_COLUMNS[field]
    statement = select(AssetTag.asset_id.label("id"), value.label("value")).select_from(AssetTag)
    of_tags = len(chosen.tag_keys) + (DATES in chosen.ranges)
    if not by_upload or chosen.words or chosen.conditions > of_tags:
        statement = statement.join(Asset, Asset.id == AssetTag.asset_id)
    return statement.where(AssetTag.tag == _literal(key))


def _conditions(
    chosen: Filter,
    lead: str,
    model: type[Asset] | type[AssetTag],
    in_order: str | None = None,
) -> Iterator[ColumnElement[bool]]:
    """The conditions besides ``q`` on rows of ``model``, except the tag that leads, which the
    statement has already. What ``lead`` or the order ``in_order`` can look up in its index is
    written plainly."""
    if chosen.media_type is not None:
        leads = facet_counts.of_type(chosen.media_type) == lead
        yield (Asset.media_type if leads else _apart(Asset.media_type)) == chosen.media_type
    if chosen.collection_id is not None:
        leads = facet_counts.of_collection(chosen.collection_id) == lead
        yield (
            Asset.collection_id if leads else _apart(Asset.collection_id)
        ) == chosen.collection_id
    if chosen.kinds:
        leads = lead in (KINDS, *chosen.kind_facets)
        yield (Asset.kind if leads else _apart(Asset.kind)).in_(chosen.kinds)
    yield from _ranges(chosen, lead, model, in_order)
    yield from _other_tags(chosen, lead, model)


def _ranges(
    chosen: Filter, lead: str, model: type[Asset] | type[AssetTag], in_order: str | None
) -> Iterator[ColumnElement[bool]]:
    by_size = lead == SIZES or in_order == "size"
    by_upload = lead not in ("", SIZES) and in_order in (None, "uploadedAt")
    if SIZES in chosen.ranges:
        yield from _sizes(chosen, Asset.size if by_size else _apart(Asset.size))
    if DATES in chosen.ranges:
        moment = model.uploaded_at
        yield from _dates(chosen, moment if by_upload else _apart(moment))
    if PUBLISHED in chosen.ranges:
        yield _published() if lead == PUBLISHED else _apart(Asset.public_token).is_not(None)
    if chosen.is_published is False:
        yield _apart(Asset.public_token).is_(None)


def _within(chosen: Filter, lead: str) -> Iterator[ColumnElement[bool]]:
    if lead == SIZES:
        return _sizes(chosen, Asset.size)
    if lead == DATES:
        return _dates(chosen, Asset.uploaded_at)
    return iter([_published()])


def _sizes(chosen: Filter, size: Any) -> Iterator[ColumnElement[bool]]:
    if chosen.min_size is not None:
        yield size >= chosen.min_size
    if chosen.max_size is not None:
        yield size <= chosen.max_size


def _dates(chosen: Filter, moment: Any) -> Iterator[ColumnElement[bool]]:
    if chosen.uploaded_from is not None:
        yield moment >= chosen.uploaded_from
    if chosen.uploaded_before is not None:
        yield moment < chosen.uploaded_before


def _published() -> ColumnElement[bool]:
    return Asset.public_token.is_not(None)


def _other_tags(
    chosen: Filter, lead: str, model: type[Asset] | type[AssetTag]
) -> Iterator[ColumnElement[bool]]:
    asset_id = Asset.id if model is Asset else AssetTag.asset_id
    for key in chosen.tag_keys:
        if facet_counts.of_tag(key) != lead:
            other = aliased(AssetTag)
            # It is a scalar subquery, because PostgreSQL would otherwise read the whole tag instead
            # of looking up each asset. It names all columns of the tags' index, so that a generic
            # plan for tags can use that index.
            carried = select(other.tag).where(
                other.asset_id == asset_id, other.tag == key, other.uploaded_at == model.uploaded_at
            )
            yield carried.scalar_subquery().is_not(None)


def _literal(text: str) -> BindParameter[str]:
    """A parameter that is written into the statement, quoted, because PostgreSQL would otherwise
    use one plan for all values, which suits few."""
    return bindparam(None, text, literal_execute=True)


def _apart(attribute: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The attribute's value, which no index serves."""
    return func.coalesce(attribute, attribute)


def _contains(dialect: str, word: str) -> ColumnElement[bool]:
    """Whether the text contains ``word`` exactly. Nothing needs escaping, and no index serves
    it."""
    find = func.strpos if dialect == "postgresql" else func.instr
    return find(Asset.search, word) > 0


def _text_matches(words: list[str], limit: int) -> Subquery:
    """Row numbers from SQLite's text index, of all organizations. It takes some letters for others,
    so matches must be checked again."""
    phrases = " AND ".join('"' + word.replace('"', '""') + '"' for word in words)
    number: Label[int] = column("rowid", Integer).label("number")
    found = select(number).select_from(table("asset_search"))
    return (
        found.where(literal_column("asset_search").bool_op("MATCH")(phrases))
        .limit(limit)
        .subquery("found")
    )


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
