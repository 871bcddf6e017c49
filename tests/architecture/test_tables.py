"""Every table is a directory table or belongs to an organization."""

from typing import Any

from flask import Flask
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    create_engine,
    inspect,
)  # fmt: skip
from sqlalchemy.engine.interfaces import ReflectedIndex

from app.extensions import Base, db
from app.tenancy import DIRECTORY_TABLES, OrgOwned
from tests.databases import on_both_databases


def owned_models() -> list[type[Base]]:
    return [
        model
        for model in (mapper.class_ for mapper in Base.registry.mappers)
        if issubclass(model, Base) and issubclass(model, OrgOwned)
    ]


def test_every_table_is_directory_or_owned() -> None:
    owned = {model.__tablename__ for model in owned_models()}
    assert owned | DIRECTORY_TABLES == set(Base.metadata.tables)
    assert not owned & DIRECTORY_TABLES


def keys_and_indexes(database: Engine, table: str) -> list[list[str | None]]:
    """The columns of each way in which the database itself finds rows quickly; a foreign key is
    none."""
    found = inspect(database)
    indexes = [index for index in found.get_indexes(table) if not is_partial(index)]
    uniques = found.get_unique_constraints(table)
    return [
        [*found.get_pk_constraint(table)["constrained_columns"]],
        *([*one["column_names"]] for one in indexes + uniques),
    ]


def is_partial(index: ReflectedIndex) -> bool:
    return any(option.endswith("_where") for option in index.get("dialect_options", {}))


@on_both_databases
def test_owned_tables_are_found_by_organization_first(app: Flask) -> None:
    with app.app_context():
        lacking = [
            model.__tablename__
            for model in owned_models()
            if "org_id"
            not in [columns[0] for columns in keys_and_indexes(db.engine, model.__tablename__)]
        ]
    assert not lacking


def test_a_foreign_key_is_no_index() -> None:
    memory, tables = create_engine("sqlite://"), MetaData()
    Table("parents", tables, Column("id", Integer, primary_key=True))
    own: tuple[Column[Any], ...] = (
        Column("id", Integer, primary_key=True),
        Column("org_id", ForeignKey("parents.id")),
    )
    Table("children", tables, *own, Index("partial", "org_id", sqlite_where=Column("id") > 5))
    tables.create_all(memory)
    assert keys_and_indexes(memory, "children") == [["id"]]
    memory.dispose()


def test_children_reference_their_parents_within_the_organization() -> None:
    owned = {model.__tablename__ for model in owned_models()}
    keys = [
        key
        for model in owned_models()
        for key in Base.metadata.tables[model.__tablename__].constraints
        if isinstance(key, ForeignKeyConstraint) and key.referred_table.name in owned
    ]
    assert keys
    assert not [key.name for key in keys if "org_id" not in key.column_keys], (
        "could point into another organization"
    )
