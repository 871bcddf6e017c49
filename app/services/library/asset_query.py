"""Statements that select the assets that match a filter, through one chosen index.

All other conditions are written so that no index serves them (``_unindexed``, ``_contains``). A
planner would have to guess how many rows they match: SQLite has no statistics, and PostgreSQL has
none about the words that are searched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
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

from app.models import Asset, AssetTag, MediaType
from app.services.library import facet_counts
from app.tenancy import TenantSession

MAX_COUNTED = 10_000
"""Matches are counted up to this number; a larger total is not exact."""
INDEXED_LETTERS = 3
"""The text indexes know runs of three letters, so they find nothing shorter."""

SORT_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "uploadedAt": Asset.uploaded_at,
    "name": Asset.sort_name,
    "size": Asset.size,
}
"""The column that assets are sorted by, for each ``Sort.field``."""


@dataclass(frozen=True)
class Filter:
    """Assets must match every field that is given. ``q`` is text anywhere in the name, the original
    name or a tag, in any case. ``kinds`` are detected formats, of which one is enough; sizes are
    bytes, both included; ``uploaded_before`` is the first moment that is too late."""

    q: str | None = None
    media_type: MediaType | None = None
    collection_id: str | None = None
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    uploaded_from: datetime | None = None
    uploaded_before: datetime | None = None
    is_published: bool | None = None

    @property
    def words(self) -> str:
        """``q`` case-folded, as the searched texts are stored."""
        return (self.q or "").casefold()

    @property
    def facets(self) -> list[str]:
        """The other conditions, as facets of ``facet_counts``."""
        facets = [] if self.media_type is None else [facet_counts.of_type(self.media_type)]
        if self.collection_id is not None:
            facets.append(facet_counts.of_collection(self.collection_id))
        return facets + [facet_counts.of_tag(tag) for tag in dict.fromkeys(self.tags)]

    @property
    def has_more(self) -> bool:
        """Whether it asks for something that no facet knows, besides words."""
        others = (self.min_size, self.max_size, self.uploaded_from, self.uploaded_before)
        return bool(self.kinds) or any(one is not None for one in (*others, self.is_published))

    @property
    def can_match(self) -> bool:
        """Whether every text is valid in the databases and has no line break, which separates the
        searched texts."""
        texts = "".join((self.words, self.collection_id or "", *self.tags))
        return not any(
            character in "\0\n" or "\ud800" <= character <= "\udfff" for character in texts
        )


def is_in_order(facet: str, field: str) -> bool:
    """Whether an index holds the assets of ``facet`` in the order of ``field``. Rows of tags are
    indexed by upload only."""
    return field == "uploadedAt" or not facet.startswith(facet_counts.of_tag(""))


def select_matching(
    session: TenantSession, chosen: Filter, facet: str, field: str, *, by_text: bool = False
) -> Select[Any]:
    """Select ``id`` and ``value`` (of ``field``) of the assets that match ``chosen``, without an
    order.

    They are read through the index of ``facet``, which is ``all`` or one of the filter's facets.
    With ``by_text`` SQLite uses its text index instead, up to ``MAX_COUNTED`` entries of it;
    PostgreSQL may use its own.
    """
    dialect = session.get_bind().dialect.name
    if by_text and dialect == "sqlite":
        found = _text_matches(chosen.words, MAX_COUNTED)
        statement = _of_assets(SORT_COLUMNS[field]).join(
            found, literal_column("assets.rowid") == found.c.number
        )
        return statement.where(
            *_conditions(chosen, facet_counts.ALL, Asset), _contains(dialect, chosen.words)
        )
    tag = next((tag for tag in chosen.tags if facet_counts.of_tag(tag) == facet), None)
    if tag is None:
        statement = _of_assets(SORT_COLUMNS[field]).where(*_conditions(chosen, facet, Asset))
    else:
        statement = _of_tag(tag, field, chosen).where(*_conditions(chosen, facet, AssetTag))
    if by_text:
        return statement.where(Asset.search.like(_literal(f"%{_escaped(chosen.words)}%")))
    return statement.where(_contains(dialect, chosen.words)) if chosen.words else statement


def count(session: TenantSession, chosen: Filter, facet: str, *, by_text: bool) -> int:
    """How many assets match, counted up to ``MAX_COUNTED`` + 1."""
    rows = select_matching(session, chosen, facet, "uploadedAt", by_text=by_text)
    if not by_text and session.get_bind().dialect.name == "sqlite":
        # SQLite could take any of several indexes. Rows are stored in the order of their upload, so
        # they are read fastest in that order.
        rows = rows.order_by(rows.selected_columns.value, rows.selected_columns.id)
    most = rows.limit(MAX_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(most)) or 0


def may_use_text_index(session: TenantSession, chosen: Filter, instead_of: int) -> bool:
    """Whether the text index is better than another index that leads to ``instead_of`` assets.

    PostgreSQL's planner decides that from its statistics. SQLite has none, so up to ``instead_of``
    matches are counted in its index. They are matches of all organizations; the number only chooses
    the index and is never shown.
    """
    if len(chosen.words) < INDEXED_LETTERS:
        return False
    if session.get_bind().dialect.name == "postgresql":
        return True
    most = min(instead_of, MAX_COUNTED)
    matches = session.scalar(select(func.count()).select_from(_text_matches(chosen.words, most)))
    return matches is not None and matches < most


def _of_assets(value: InstrumentedAttribute[Any]) -> Select[Any]:
    return select(Asset.id.label("id"), value.label("value")).select_from(Asset)


def _of_tag(tag: str, field: str, chosen: Filter) -> Select[Any]:
    """Select from the rows of ``tag``, joined to assets only if the filter or the order needs
    them."""
    by_upload = field == "uploadedAt"
    value = AssetTag.uploaded_at if by_upload else SORT_COLUMNS[field]
    statement = select(AssetTag.asset_id.label("id"), value.label("value")).select_from(AssetTag)
    if (
        not by_upload
        or chosen.words
        or chosen.media_type
        or chosen.collection_id
        or chosen.has_more
    ):
        statement = statement.join(Asset, Asset.id == AssetTag.asset_id)
    return statement.where(AssetTag.tag == _literal(tag))


def _conditions(
    chosen: Filter, facet: str, model: type[Asset] | type[AssetTag]
) -> Iterator[ColumnElement[bool]]:
    """The conditions besides ``q`` on rows of ``model``, except the tag that is ``facet``, which
    the statement has already."""
    asset_id = Asset.id if model is Asset else AssetTag.asset_id
    if chosen.media_type is not None:
        leads = facet_counts.of_type(chosen.media_type) == facet
        yield (Asset.media_type if leads else _unindexed(Asset.media_type)) == chosen.media_type
    if chosen.collection_id is not None:
        leads = facet_counts.of_collection(chosen.collection_id) == facet
        yield (
            Asset.collection_id if leads else _unindexed(Asset.collection_id)
        ) == chosen.collection_id
    yield from _more(chosen)
    for tag in chosen.tags:
        if facet_counts.of_tag(tag) != facet:
            other = aliased(AssetTag)
            # It is a scalar subquery, because PostgreSQL would otherwise read the whole tag instead
            # of looking up each asset. It names all columns of the tags' index, so that a generic
            # plan for tags can use that index.
            carried = select(other.tag).where(
                other.asset_id == asset_id, other.tag == tag, other.uploaded_at == model.uploaded_at
            )
            yield carried.scalar_subquery().is_not(None)


def _more(chosen: Filter) -> Iterator[ColumnElement[bool]]:
    """The conditions that no facet knows."""
    size, moment = _apart(Asset.size), _apart(Asset.uploaded_at)
    if chosen.kinds:
        yield _apart(Asset.kind).in_(chosen.kinds)
    if chosen.min_size is not None:
        yield size >= chosen.min_size
    if chosen.max_size is not None:
        yield size <= chosen.max_size
    if chosen.uploaded_from is not None:
        yield moment >= chosen.uploaded_from
    if chosen.uploaded_before is not None:
        yield moment < chosen.uploaded_before
    if chosen.is_published is not None:
        token = _apart(Asset.public_token)
        yield token.is_not(None) if chosen.is_published else token.is_(None)


def _apart(attribute: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The attribute's value, which no index serves."""
    return func.coalesce(attribute, attribute)


def _literal(text: str) -> BindParameter[str]:
    """A parameter that is written into the statement, quoted, because PostgreSQL would otherwise
    use one plan for all values, which suits few."""
    return bindparam(None, text, literal_execute=True)


def _unindexed(attribute: InstrumentedAttribute[Any]) -> ColumnElement[str]:
    return attribute.concat("")


def _contains(dialect: str, words: str) -> ColumnElement[bool]:
    """Whether the text contains ``words`` exactly. Nothing needs escaping, and no index serves
    it."""
    find = func.strpos if dialect == "postgresql" else func.instr
    return find(Asset.search, words) > 0


def _text_matches(words: str, limit: int) -> Subquery:
    """Row numbers from SQLite's text index, of all organizations. It folds case differently, so
    matches must be checked again."""
    phrase = '"' + words.replace('"', '""') + '"'
    number: Label[int] = column("rowid", Integer).label("number")
    found = select(number).select_from(table("asset_search"))
    return (
        found.where(literal_column("asset_search").bool_op("MATCH")(phrase))
        .limit(limit)
        .subquery("found")
    )


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
