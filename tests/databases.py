"""Run a test on SQLite and on PostgreSQL, and listen to what it asks of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import event

from app.extensions import db

on_both_databases = pytest.mark.parametrize("app", ["sqlite", "postgresql"], indirect=True)


class Statement(NamedTuple):
    text: str
    parameters: Any


@contextmanager
def statements(app: Flask) -> Iterator[list[Statement]]:
    """What is sent to the database of the application in the block."""
    sent: list[Statement] = []

    def hear(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        sent.append(Statement(text, parameters))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def plan_of(app: Flask, statement: Statement) -> str:
    """How the database would run it, a line a step."""
    with app.app_context(), db.engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN "
        if connection.dialect.name == "postgresql":
            # Small tables it would read whole; so it does only where there is no index.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN "
        rows = connection.exec_driver_sql(explain + statement[0], statement[1])
        return "\n".join(str(row[-1]) for row in rows)
