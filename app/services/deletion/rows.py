"""Removes the rows of an organization from all tables, found by their column ``org_id``, so that no
table can be forgotten."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, inspect, not_, or_, select, tuple_, update

from app.extensions import Base, transaction
from app.models import AuditEntry, Mode, StaffEntry, User
from app.tenancy import OrgOwned, Partitioned, TenantSession, erasing

BATCH_SIZE = 5000
KEPT_ACTIONS = ("billing.", "invoice.", "organization.deleted", "subscription.")
"""How the actions of audit entries begin that stay: bookkeeping asks for the ids of customers,
subscriptions and invoices for years."""


def remove_directory_rows(session: TenantSession, org_id: str) -> None:
    """Members, keys and former slugs, which belong to the directory."""
    session.change(update(User).where(User.last_org_id == org_id).values(last_org_id=None))
    for model in _models():
        if not issubclass(model, OrgOwned):
            session.change(delete(model).where(model.org_id == org_id))


def remove_owned_rows(org_id: str) -> None:
    """In batches with a transaction each. Audit entries about billing stay, without addresses."""
    for model in _models():
        if not issubclass(model, OrgOwned):
            continue
        for mode in Mode if issubclass(model, Partitioned) else (None,):
            while _remove_batch(org_id, mode, model):
                pass
    with transaction(org_id) as session, erasing(session):
        session.change(update(AuditEntry).values(address=None))


def _models() -> Sequence[Any]:
    """The models with a column ``org_id``, children before their parents. What staff have done is
    kept as long as their log."""
    found = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    found.pop(inspect(StaffEntry).local_table)
    tables = reversed(Base.metadata.sorted_tables)
    return [found[table] for table in tables if table in found and "org_id" in table.columns]


def _remove_batch(org_id: str, mode: Mode | None, model: Any) -> int:
    mapper = model.__mapper__
    # Attributes of the model, not columns of its table: the session filters only those.
    keys = [
        getattr(model, mapper.get_property_by_column(column).key) for column in mapper.primary_key
    ]
    some = select(*keys)
    if model is AuditEntry:
        kept = or_(*(AuditEntry.action.startswith(action) for action in KEPT_ACTIONS))
        some = some.where(not_(kept))
    if not _points_to_itself(model):  # a parent can't go before its child
        some = some.limit(BATCH_SIZE)
    with transaction(org_id, mode) as session, erasing(session):
        return session.change(delete(model).where(tuple_(*keys).in_(some)))


def _points_to_itself(model: Any) -> bool:
    table = model.__mapper__.local_table
    return any(key.column.table is table for key in table.foreign_keys)
