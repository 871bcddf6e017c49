"""Collections: folders of assets, in a tree."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from app.errors import BadRequest, Conflict, NotFound
from app.models import Asset, Collection, Organization, new_id
from app.services.library import facet_counts
from app.tenancy import TenantSession, insert_if_absent

MAX_COLLECTIONS = 10_000
ANY: Any = object()
"""Stands for any parent; None means the top level."""


def find(
    session: TenantSession, name: str | None = None, parent_id: str | None = ANY
) -> list[Collection]:
    """Collections with this exact name and this parent, ordered by name."""
    statement = select(Collection).order_by(Collection.name, Collection.id)
    if name is not None:
        statement = statement.where(Collection.name == name)
    if parent_id is not ANY:
        statement = statement.where(Collection.parent_id == parent_id)
    return list(session.scalars(statement))


def get(session: TenantSession, collection_id: str) -> Collection:
    """Raises NotFound."""
    if found := session.scalar(select(Collection).where(Collection.id == collection_id)):
        return found
    raise NotFound(f"Collection '{collection_id}' does not exist in this workspace.")


def name_of(session: TenantSession, collection_id: str | None) -> str | None:
    """The name of a collection; None if there is none such."""
    if collection_id is None:
        return None
    return session.scalar(select(Collection.name).where(Collection.id == collection_id))


def check(session: TenantSession, collection_id: str | None, field: str = "collectionId") -> None:
    """Raises BadRequest if the collection, named by ``field`` of a body, does not exist."""
    if collection_id is not None and not session.scalar(
        select(Collection.id).where(Collection.id == collection_id)
    ):
        raise BadRequest(
            f"Collection '{collection_id}' does not exist in this workspace.",
            errors=[f"{field}: does not exist"],
        )


def create(
    session: TenantSession, name: str, parent_id: str | None, color: str | None, now: datetime
) -> tuple[Collection, bool]:
    """Find or create the collection of this name under this parent. Returns it and whether it was
    created. Raises BadRequest, Conflict.

    With ``ANY`` an existing one is found under any parent, and a new one is created at the top
    level. Parallel calls return the same one, because siblings' names are unique in the database.
    """
    if parent_id is ANY:
        if found := _find_anywhere(session, name):
            return found, False
        parent_id = None
    check(session, parent_id, "parentId")
    place = _place_of(parent_id, name)
    if found := _find_at(session, place):
        return found, False
    _lock_tree(session)
    if (session.scalar(select(func.count()).select_from(Collection)) or 0) >= MAX_COLLECTIONS:
        raise Conflict(
            f"A workspace holds at most {MAX_COLLECTIONS:,} collections: delete some first."
        )
    made = insert_if_absent(
        session,
        Collection,
        id=new_id("col", now),
        name=name,
        parent_id=parent_id,
        place=place,
        color=color,
        created_at=now,
        updated_at=now,
    )
    found = _find_at(session, place)
    if found is None:
        raise Conflict("The collection was deleted while it was made; try again.")
    return found, made


def change(
    session: TenantSession, collection_id: str, changes: dict[str, Any], now: datetime
) -> Collection:
    """Rename, recolour or move a collection. Raises NotFound, BadRequest for an unknown parent or a
    cycle, Conflict for a sibling of the same name."""
    _lock_tree(session)
    collection = get(session, collection_id)
    if "parent_id" in changes:
        check(session, changes["parent_id"], "parentId")
        _check_no_cycle(session, collection_id, changes["parent_id"])
    for field, value in changes.items():
        setattr(collection, field, value)
    collection.place = _place_of(collection.parent_id, collection.name)
    collection.updated_at = now
    with session.no_autoflush:
        sibling = _find_at(session, collection.place)
    if sibling is not None and sibling.id != collection_id:
        raise Conflict(
            f"There is a collection '{collection.name}' there already; choose another name."
        )
    return collection


def delete(session: TenantSession, collection_id: str) -> str:
    """Delete a collection; its assets stay without one. Returns its name. Raises NotFound, Conflict
    if it has sub-collections."""
    _lock_tree(session)
    collection = get(session, collection_id)
    inside = session.scalar(
        select(func.count()).select_from(Collection).where(Collection.parent_id == collection_id)
    )
    if inside:
        many = "1 collection" if inside == 1 else f"{inside} collections"
        raise Conflict(f"'{collection.name}' has {many} in it: move or delete them first.")
    facet_counts.drop_collection(session, collection_id)
    session.change(
        update(Asset).where(Asset.collection_id == collection_id).values(collection_id=None)
    )
    session.delete(collection)
    return collection.name


def _place_of(parent_id: str | None, name: str) -> str:
    return f"{parent_id or ''}/{name}"


def _find_at(session: TenantSession, place: str) -> Collection | None:
    return session.scalar(select(Collection).where(Collection.place == place))


def _find_anywhere(session: TenantSession, name: str) -> Collection | None:
    """A collection of this name: one at the top level if there is one, else the oldest."""
    named = select(Collection).where(Collection.name == name)
    order = (Collection.parent_id.is_not(None), Collection.created_at, Collection.id)
    return session.scalar(named.order_by(*order).limit(1))


def _lock_tree(session: TenantSession) -> None:
    """Serialise changes to an organization's trees, because two parallel moves could form a cycle
    that neither of them sees."""
    session.change(
        update(Organization).where(Organization.id == session.org_id).values(name=Organization.name)
    )


def _check_no_cycle(session: TenantSession, collection_id: str, parent_id: str | None) -> None:
    parents = {
        row.id: row.parent_id
        for row in session.execute(select(Collection.id, Collection.parent_id))
    }
    above = parent_id
    while above is not None:
        if above == collection_id:
            raise BadRequest(
                "A collection can't lie within itself.",
                errors=["parentId: is this collection, or lies within it"],
            )
        above = parents[above]
