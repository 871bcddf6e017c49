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
