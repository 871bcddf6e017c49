"""Which assets match a filter: statements that read them through one index of choice.

A condition that is not meant to choose the index is written so that it cannot (``_unindexed``,
``_contains``). What a planner would guess of it, without statistics on SQLite or about anybody's
words on PostgreSQL, is then of no account.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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

COUNTED_AT_MOST = 10_000
"""Matches; past it a total is only known to be larger."""
INDEXED_LETTERS = 3
"""The text indexes know runs of three letters, so they find nothing shorter."""

VALUES: dict[str, InstrumentedAttribute[Any]] = {
    "uploadedAt": Asset.uploaded_at,
    "name": Asset.sort_name,
    "size": Asset.size,
}
"""What assets are sorted by, as ``Sort.field`` names it."""


@dataclass(frozen=True)
class Filter:
    """All that is given must hold. ``q``: letters anywhere in the name, the original name or a tag,
    in any case."""

    q: str | None = None
    media_type: MediaType | None = None
    collection_id: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """``q`` as texts are kept: case-folded."""
        return (self.q or "").casefold()

    @property
    def facets(self) -> list[str]:
        """What is asked for besides ``q``, in the words of ``facet_counts``."""
        facets = [] if self.media_type is None else [facet_counts.of_type(self.media_type)]
        if self.collection_id is not None:
            facets.append(facet_counts.of_collection(self.collection_id))
        return facets + [facet_counts.of_tag(tag) for tag in dict.fromkeys(self.tags)]

    @property
    def can_match(self) -> bool:
        """Whether databases take all texts, and none has the line break that stands between those
        that are searched."""
        texts = "".join((self.words, self.collection_id or "", *self.tags))
        return not any(
            character in "\0\n" or "\ud800" <= character <= "\udfff" for character in texts
        )


def is_in_order(facet: str, field: str) -> bool:
    """Whether an index holds the assets of ``facet`` in the order of ``field``. Rows of tags know
    the upload only."""
    return field == "uploadedAt" or not facet.startswith(facet_counts.of_tag(""))


def select_matching(
    session: TenantSession, chosen: Filter, facet: str, field: str, *, by_text: bool = False
) -> Select[Any]:
    """``id`` and ``value``, which is that of ``field``, of the assets that match ``chosen``, in no
    order.

    They are read by the index of ``facet``, which is ``all`` or one of the filter's. With
    ``by_text`` SQLite takes its text index instead, up to ``COUNTED_AT_MOST`` entries of it, and
    PostgreSQL may.
    """
    dialect = session.get_bind().dialect.name
    if by_text and dialect == "sqlite":
        found = _text_matches(chosen.words, COUNTED_AT_MOST)
        statement = _of_assets(VALUES[field]).join(
            found, literal_column("assets.rowid") == found.c.number
        )
        return statement.where(
            *_conditions(chosen, facet_counts.ALL, Asset), _contains(dialect, chosen.words)
        )
    tag = next((tag for tag in chosen.tags if facet_counts.of_tag(tag) == facet), None)
    if tag is None:
        statement = _of_assets(VALUES[field]).where(*_conditions(chosen, facet, Asset))
    else:
        statement = _of_tag(tag, field, chosen).where(*_conditions(chosen, facet, AssetTag))
    if by_text:
        return statement.where(Asset.search.like(_written(f"%{_escaped(chosen.words)}%")))
    return statement.where(_contains(dialect, chosen.words)) if chosen.words else statement


def count(session: TenantSession, chosen: Filter, facet: str, *, by_text: bool) -> int:
    """How many assets match, but no more than one past ``COUNTED_AT_MOST``."""
    rows = select_matching(session, chosen, facet, "uploadedAt", by_text=by_text)
    if not by_text and session.get_bind().dialect.name == "sqlite":
        # Of several indexes it might take any; rows lie in the order of their upload, and are read
        # fastest in it.
        rows = rows.order_by(rows.selected_columns.value, rows.selected_columns.id)
    most = rows.limit(COUNTED_AT_MOST + 1).subquery()
    return session.scalar(select(func.count()).select_from(most)) or 0


def may_use_text_index(session: TenantSession, chosen: Filter, instead_of: int) -> bool:
    """Whether the text index is the better way, where another one leads to ``instead_of`` assets.

    PostgreSQL's planner knows from its statistics. SQLite has none, but lists matches as it goes,
    so it is asked for as many. They are those of all organizations: a number that decides how to
    look, and that nobody is shown.
    """
    if len(chosen.words) < INDEXED_LETTERS:
        return False
    if session.get_bind().dialect.name == "postgresql":
        return True
    most = min(instead_of, COUNTED_AT_MOST)
    matches = session.scalar(select(func.count()).select_from(_text_matches(chosen.words, most)))
    return matches is not None and matches < most


def _of_assets(value: InstrumentedAttribute[Any]) -> Select[Any]:
    return select(Asset.id.label("id"), value.label("value")).select_from(Asset)


def _of_tag(tag: str, field: str, chosen: Filter) -> Select[Any]:
    """From the rows of ``tag``, and from assets only where those do not tell enough."""
    by_upload = field == "uploadedAt"
    value = AssetTag.uploaded_at if by_upload else VALUES[field]
    statement = select(AssetTag.asset_id.label("id"), value.label("value")).select_from(AssetTag)
    if not by_upload or chosen.words or chosen.media_type or chosen.collection_id:
        statement = statement.join(Asset, Asset.id == AssetTag.asset_id)
    return statement.where(AssetTag.tag == _written(tag))


def _conditions(
    chosen: Filter, facet: str, model: type[Asset] | type[AssetTag]
) -> Iterator[ColumnElement[bool]]:
    """What is asked for besides ``q``, of rows of ``model``; the tag that is ``facet`` has been
    seen to."""
    asset_id = Asset.id if model is Asset else AssetTag.asset_id
    if chosen.media_type is not None:
        leads = facet_counts.of_type(chosen.media_type) == facet
        yield (Asset.media_type if leads else _unindexed(Asset.media_type)) == chosen.media_type
    if chosen.collection_id is not None:
        leads = facet_counts.of_collection(chosen.collection_id) == facet
        yield (
            Asset.collection_id if leads else _unindexed(Asset.collection_id)
        ) == chosen.collection_id
    for tag in chosen.tags:
        if facet_counts.of_tag(tag) != facet:
            other = aliased(AssetTag)
            # A scalar, because PostgreSQL would sooner gather the whole tag than look into it for
            # each asset; and all columns of its index, because a plan for tags in general may take
            # that one.
            carried = select(other.tag).where(
                other.asset_id == asset_id, other.tag == tag, other.uploaded_at == model.uploaded_at
            )
            yield carried.scalar_subquery().is_not(None)


def _written(text: str) -> BindParameter[str]:
    """A parameter that stands in the statement, quoted: PostgreSQL would keep one plan for all, and
    it suits few."""
    return bindparam(None, text, literal_execute=True)


def _unindexed(attribute: InstrumentedAttribute[Any]) -> ColumnElement[str]:
    return attribute.concat("")


def _contains(dialect: str, words: str) -> ColumnElement[bool]:
    """Exact, with nothing to escape, and of no interest to any index."""
    find = func.strpos if dialect == "postgresql" else func.instr
    return find(Asset.search, words) > 0


def _text_matches(words: str, limit: int) -> Subquery:
    """Row numbers out of SQLite's text index, of all organizations. It folds case in its own way,
    so check again."""
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
