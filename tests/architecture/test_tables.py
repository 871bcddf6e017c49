"""Every table is a directory table or belongs to an organization."""

from sqlalchemy import ForeignKeyConstraint

from app.extensions import Base
from app.tenancy import DIRECTORY_TABLES, OrgOwned


def owned_models() -> list[type]:
    return [mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, OrgOwned)]


def test_every_table_is_directory_or_owned() -> None:
    owned = {model.__tablename__ for model in owned_models()}
    assert owned | DIRECTORY_TABLES == set(Base.metadata.tables)
    assert not owned & DIRECTORY_TABLES


def test_owned_tables_are_found_by_organization_first() -> None:
    for model in owned_models():
        table = model.__table__
        indexes = [next(iter(index.columns)).name for index in (*table.indexes, *table.constraints) if index.columns]
        assert "org_id" in indexes, f"{table.name} has no index or key that begins with org_id"


def test_children_reference_their_parents_within_the_organization() -> None:
    owned = {model.__tablename__ for model in owned_models()}
    for model in owned_models():
        for key in model.__table__.constraints:
            if isinstance(key, ForeignKeyConstraint) and key.referred_table.name in owned:
                assert "org_id" in key.column_keys, f"{key.name} could point into another organization"
