"""Rows for every table that has an ``org_id``, made from the tables themselves."""

from collections import Counter
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Date, Float, Integer, String, func, select
from sqlalchemy.dialects import postgresql, sqlite

from app.extensions import Base, transaction
from app.models import Mode, StaffEntry, UtcDateTime
from app.tenancy import Partitioned, unscoped
from tests.clock import NOON

CHOSEN: dict[str, Any] = {
    "role": "viewer", "status": "done", "state": "settled", "actor_kind": "system",
    "media_type": "IMAGE", "kind": "jpeg", "action": "thing.changed",
    "origin": "upload", "deleted_by_kind": "user", "announcements.kind": "banner",
    "request_entries.status": 200,
}  # fmt: skip
"""Values of columns that a check constraint restricts, or that mean something."""
BY_TYPE: dict[type, Any] = {
    JSON: {}, UtcDateTime: NOON, Date: NOON.date(), Boolean: True, Integer: 1, Float: 0.0,
}  # fmt: skip


def models_of_organizations() -> list[Any]:
    """The models with a column ``org_id``, parents before their children; but the staff's log is
    theirs."""
    found = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    return [
        found[table]
        for table in Base.metadata.sorted_tables
        if "org_id" in table.columns and found[table] is not StaffEntry
    ]


def fill(org_id: str, user_id: str) -> None:
    """Add a row of an organization to each table, and one for each mode where the table is divided
    by modes. Their sums do not fit together: remove them before anything sweeps."""
    for model in models_of_organizations():
        for mode in Mode if issubclass(model, Partitioned) else (Mode.LIVE,):
            values = _values(model, f"{mode}-{org_id[-20:]}")
            own = {"org_id": org_id, "mode": mode, "user_id": user_id}
            values |= {name: own[name] for name in own.keys() & {"org_id", *values}}
            with transaction() as session:
                dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
                row = dialect.insert(model.__table__).values(values).on_conflict_do_nothing()
                session.connection().execute(row)


def count(org_id: str) -> Counter[str]:
    """The rows of an organization by table, without the tables that are empty."""
    numbers = Counter[str]()
    with transaction() as session, unscoped(session, "a test"):
        for model in models_of_organizations():
            rows = select(func.count()).select_from(model).where(model.org_id == org_id)
            numbers[model.__tablename__] = session.scalar(rows) or 0
    return +numbers


def _values(model: Any, text: str) -> dict[str, Any]:
    return {
        column.name: _value(column, text)
        for column in model.__table__.columns
        if not column.nullable and column.default is None
    }


def _value(column: "Column[Any]", text: str) -> Any:
    for name in (f"{column.table.name}.{column.name}", column.name):
        if name in CHOSEN:
            return CHOSEN[name]
    if isinstance(column.type, String):
        return text[-(column.type.length or len(text)) :]
    return next(value for kind, value in BY_TYPE.items() if isinstance(column.type, kind))
