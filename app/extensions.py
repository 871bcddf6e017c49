"""The Flask extensions, not yet bound to an application; ``factory`` does that."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

from app.tenancy import TenantSession, bind_org


class Base(DeclarativeBase):
    """Base of all tables. Constraint names follow a rule, so that migrations can refer to them on
    any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
migrate = Migrate(render_as_batch=True, compare_type=True)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL lets readers continue during a write; the busy timeout makes writers wait instead of
    fail."""
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "busy_timeout=10000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


@contextmanager
def transaction(org_id: str | None = None, mode: str | None = None) -> Iterator[TenantSession]:
    """Open a short session of its own, bound to an org and a mode in it. It commits on return and
    rolls back on an exception."""
    session = TenantSession(db, expire_on_commit=False)
    try:
        if org_id is not None:
            bind_org(session, org_id, mode)
        with session.begin():
            yield session
    finally:
        session.close()
