"""Finds rows by the beginning of a text, through an index, on both databases."""

from typing import Any

from sqlalchemy import ColumnElement, and_

from app.tenancy import TenantSession

LAST_CHARACTER = "\U0010ffff"
ESCAPE = "\\"


def prefix(session: TenantSession, column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column begins with ``text``, literally.

    SQLite compares by bytes, so a range does it. PostgreSQL sorts a column as its language would,
    unless it has the collation C; there an index with ``varchar_pattern_ops`` serves LIKE.
    """
    is_sorted_by_bytes = session.get_bind().dialect.name == "sqlite" or column.name in BYTEWISE
    if is_sorted_by_bytes:
        return and_(column >= text, column < text + LAST_CHARACTER)
    escaped = text
    for special in (ESCAPE, "%", "_"):
        escaped = escaped.replace(special, ESCAPE + special)
    like: ColumnElement[bool] = column.like(f"{escaped}%", escape=ESCAPE)
    return like


BYTEWISE = frozenset({"folded_name"})
"""Columns that PostgreSQL sorts by their bytes too."""
