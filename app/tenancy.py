"""Isolates organizations from each other, and live from test data within one.

A table is either a *directory* table, which all code can read, or ``OrgOwned``. A ``TenantSession``
is bound once to one org. From then on every ORM statement on an owned table is filtered by that
org, and new rows get its id. ``Partitioned`` tables are owned and also divided by the mode of the
key that made the row; they need a session that is bound to a mode too. In a session that is not
bound these tables look empty. Code that must see all orgs uses ``unscoped``.

Only ORM statements are filtered: ``text()`` and ``Model.__table__`` would bypass this, so lint and
``tests/architecture`` refuse them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import structlog
from flask_sqlalchemy.session import Session
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    ForeignKey,
    String,
    Update,
    event,
    false,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    UOWTransaction,
    mapped_column,
    with_loader_criteria,
)

log = structlog.get_logger()

DIRECTORY_TABLES = frozenset({
    "organizations", "former_slugs", "users", "memberships", "api_keys", "plans", "stripe_events",
    "sign_ins", "mailed_links", "passkeys", "recovery_codes", "mails", "staff_entries",
    "staff_log_head", "plan_versions", "blocks", "announcements",
})  # fmt: skip
"""Tables that belong to no org. All others must be OrgOwned (tests/architecture/test_tables.py)."""


class OrgOwned:
    """A row that belongs to one organization. Its indexes begin with ``org_id``, as every query
    does."""

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), sort_order=-1
    )


class Partitioned(OrgOwned):
    """A row that only keys of one mode, ``live`` or ``test``, may see."""

    mode: Mapped[str] = mapped_column(String(8), sort_order=-1)


class AppendOnly:
    """A row that is never changed, and never deleted before its organization is erased or its time
    is over."""


class TenancyError(Exception):
    """A defect: code tried to reach across organizations, or to change rows that are append-only.
    Never shown to a user."""


class TenantSession(Session):
    """A session that sees one organization."""

    org_id: str | None = None
    mode: str | None = None
    unscoped_reason: str | None = None
    erases: bool = False

    def change(self, statement: Update | Delete) -> int:
        """Run an UPDATE or DELETE and return the number of affected rows. Loaded objects are not
        refreshed."""
        result = self.execute(statement.execution_options(synchronize_session=False))
        return cast("CursorResult[Any]", result).rowcount


def bind_org(session: TenantSession, org_id: str, mode: str | None = None) -> None:
    """Bind ``session`` permanently to one org, and to one mode in it. Raises TenancyError if it is
    bound to another."""
    if session.org_id not in (None, org_id) or session.mode not in (None, mode):
        raise TenancyError("the session is bound to another organization or mode")
    session.org_id, session.mode = org_id, mode


@contextmanager
def unscoped(session: TenantSession, reason: str) -> Iterator[TenantSession]:
    """Let ``session`` see all orgs; the reason is logged. Raises TenancyError for a bound
    session."""
    if session.org_id is not None:
        raise TenancyError("a session bound to an organization cannot be opened to all")
    log.debug("tenancy.unscoped", reason=reason)
    session.unscoped_reason = reason
    try:
        yield session
        session.flush()
    finally:
        session.expunge_all()
        session.unscoped_reason = None


@contextmanager
def erasing(session: TenantSession) -> Iterator[None]:
    """Let ``session`` delete append-only rows: for the deletion of an organization, and for the
    oldest entries of the staff's log."""
    log.debug("tenancy.erasing", org_id=session.org_id)
    session.erases = True
    try:
        yield
    finally:
        session.erases = False


def partitions_with(
    session: TenantSession, model: type[Partitioned], condition: ColumnElement[bool]
) -> set[tuple[str, str]]:
    """Return the (org, mode) pairs that have rows matching ``condition``. ``session`` must be
    unscoped."""
    rows = session.execute(select(model.org_id, model.mode).where(condition).distinct())
    return {(row.org_id, row.mode) for row in rows}


@event.listens_for(TenantSession, "do_orm_execute")
def _add_org_criterion(state: ORMExecuteState) -> None:
    session = cast(TenantSession, state.session)
    if state.is_update or state.is_delete:
        _refuse_changes(session, [mapper.class_ for mapper in state.all_mappers])
    if session.unscoped_reason:
        return
    if state.is_insert and any(issubclass(mapper.class_, OrgOwned) for mapper in state.all_mappers):
        raise TenancyError(
            "bulk inserts pass no org check: add rows to the session, or use insert_if_absent"
        )
    org_id, mode = session.org_id, session.mode
    state.statement = state.statement.options(
        with_loader_criteria(OrgOwned, lambda _: false(), include_aliases=True)
        if org_id is None
        else with_loader_criteria(OrgOwned, lambda cls: cls.org_id == org_id, include_aliases=True),
        with_loader_criteria(Partitioned, lambda _: false(), include_aliases=True)
        if mode is None
        else with_loader_criteria(Partitioned, lambda cls: cls.mode == mode, include_aliases=True),
    )


@event.listens_for(TenantSession, "before_flush")
def _keep_append_only_rows(
    session: TenantSession, _context: UOWTransaction, _instances: object
) -> None:
    changed = [row for row in session.dirty if session.is_modified(row)]
    _refuse_changes(session, [type(row) for row in (*changed, *session.deleted)])


def _refuse_changes(session: TenantSession, models: Sequence[type[Any]]) -> None:
    """Raises TenancyError if one of the models is append-only."""
    for model in models:
        if issubclass(model, AppendOnly) and not session.erases:
            raise TenancyError(f"{model.__name__} is append-only")


@event.listens_for(TenantSession, "before_flush")
def _stamp_new_rows(session: TenantSession, _context: UOWTransaction, _instances: object) -> None:
    if session.unscoped_reason:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, OrgOwned):
            continue
        if session.org_id is None:
            raise TenancyError(f"{type(row).__name__} written without an organization")
        for part in _scope_columns(type(row)):
            if row in session.new and getattr(row, part) is None:
                setattr(row, part, getattr(session, part))
            if getattr(row, part) is None or getattr(row, part) != getattr(session, part):
                raise TenancyError(f"{type(row).__name__} of another {part} written")


def _scope_columns(model: type[Any]) -> tuple[str, ...]:
    """Return the columns in which a row of ``model`` must match its session."""
    if issubclass(model, Partitioned):
        return ("org_id", "mode")
    return ("org_id",) if issubclass(model, OrgOwned) else ()


def insert_if_absent(session: TenantSession, model: type[Any], **values: Any) -> bool:
    """Insert a row unless a unique constraint says that it exists. Returns True if it was inserted.

    One statement (``INSERT … ON CONFLICT DO NOTHING``), so parallel callers agree on one row. An
    owned row gets the session's org, and its mode.
    """
    return insert_those_absent(session, model, [values]) == 1


def insert_those_absent(
    session: TenantSession, model: type[Any], rows: Sequence[dict[str, Any]]
) -> int:
    """Like ``insert_if_absent`` for several rows with the same columns. Returns how many were
    inserted."""
    statement = _insert(session, model, rows).on_conflict_do_nothing()
    inserted = statement.returning(*insert(model).table.primary_key)
    return len(session.connection().execute(inserted).all())


def insert_or_add(
    session: TenantSession, model: type[Any], column: str, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, each with another primary key. Where one exists, add the new row's ``column`` to
    it.

    One statement (``INSERT … ON CONFLICT DO UPDATE``), so parallel callers lose no addition. Owned
    rows get the session's org, and its mode.
    """
    statement = _insert(session, model, rows)
    table = insert(model).table
    added = {column: table.c[column] + statement.excluded[column]}
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=[*table.primary_key], set_=added)
    )


def _insert(
    session: TenantSession, model: type[Any], rows: Sequence[dict[str, Any]]
) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of rows of the session's org, and of its mode."""
    own = {part: getattr(session, part) for part in _scope_columns(model)}
    for part, value in own.items():
        if value is None or any(row.get(part, value) != value for row in rows):
            raise TenancyError(f"{model.__name__} written without its {part}")
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: postgresql.Insert | sqlite.Insert = dialect.insert(insert(model).table)
    return statement.values([row | own for row in rows])
