"""Requests that can change nothing in the database, whatever their view does.

From ``begin`` on the sessions of this application context refuse to flush and to run anything but
queries, and every connection that it takes from a pool refuses in the database itself: that also
holds for statements that go past the session. Each request has a context of its own, which also
lasts while an answer is streamed, so threads and connections that serve others are not concerned.
"""

import sqlite3
from typing import Any

from flask import g, has_app_context
from psycopg import Connection
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, UOWTransaction
from sqlalchemy.pool import Pool

from app.errors import ViewOnly
from app.tenancy import TenantSession

MARK = "read_only"
"""In the pool's notes on a connection: whether it refuses writes just now."""


def begin() -> None:
    g.read_only = True


def end() -> None:
    """For a context that goes on with another request."""
    g.pop("read_only", None)


def is_on() -> bool:
    return has_app_context() and bool(g.get("read_only"))


@event.listens_for(TenantSession, "before_flush")
def _refuse_flush(session: TenantSession, _context: UOWTransaction, _instances: object) -> None:
    """Raises ViewOnly."""
    changed = any(session.is_modified(row) for row in session.dirty)
    if is_on() and (changed or session.new or session.deleted):
        raise ViewOnly


@event.listens_for(TenantSession, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    """Raises ViewOnly."""
    if is_on() and not state.is_select:
        raise ViewOnly


@event.listens_for(Pool, "checkout")
def _prepare(connection: Any, record: Any, _proxy: object) -> None:
    """Connections are pooled, so each is set to what holds for who takes it now."""
    wanted = is_on()
    if record.info.get(MARK, False) == wanted:
        return
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA query_only={'ON' if wanted else 'OFF'}").close()
    elif isinstance(connection, Connection):
        connection.read_only = True if wanted else None
    record.info[MARK] = wanted
