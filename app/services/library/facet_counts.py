"""The number of assets for each facet, updated with every change of assets, so that a list knows
its total without counting.

Writers of one workspace take turns: each locks the row of ``all`` first, until its transaction
ends, and changes other rows only after that. This prevents lost updates, and deadlocks as long as
no writer waits for anything else in between.
"""

from collections.abc import Iterable, Mapping, Set
from itertools import islice

from sqlalchemy import Update, case, delete, select, update

from app.models import Asset, AssetCount
from app.services.library.folding import tag_key
from app.tenancy import TenantSession, insert_if_absent, insert_or_add

ALL = "all"
TRASH = "trash"
TRASH_BYTES = "trash:bytes"
"""How many deleted assets the trash holds, and their bytes. They are in no other facet."""
BATCH_SIZE = 500
"""Facets in one statement."""


def of_type(media_type: str) -> str:
    return f"type:{media_type}"


def of_collection(collection_id: str) -> str:
    return f"collection:{collection_id}"


def of_kind(kind: str) -> str:
    return f"kind:{kind}"


def of_tag(tag: str) -> str:
    """The facet of a tag in any spelling, or of its key."""
    return f"tag:{tag_key(tag)}"


def facets_of(asset: Asset) -> set[str]:
    """The facets of ``asset``, as its fields are now."""
    facets = {ALL, of_type(asset.media_type), of_kind(asset.kind), *map(of_tag, asset.tags)}
    return facets if asset.collection_id is None else facets | {of_collection(asset.collection_id)}


def lock(session: TenantSession) -> None:
    """Wait for the workspace's other writers, and keep them waiting until the transaction ends."""
    touched = session.change(_adding({ALL}, 0))
    if not touched and not insert_if_absent(session, AssetCount, facet=ALL, count=0):
        session.change(_adding({ALL}, 0))


def apply_change(session: TenantSession, before: Set[str], after: Set[str]) -> None:
    """Count one asset whose facets were ``before`` and are ``after``. ``before`` is empty for a new
    asset, ``after`` for a deleted one.

    It takes at most seven statements for any number of facets. The rows of tags without assets are
    deleted.
    """
    gained, lost = after - before, before - after
    if not gained and not lost:
        return
    lock(session)
    if gained and session.change(_adding(gained, 1)) < len(gained):
        _insert_missing(session, gained)
    if lost:
        session.change(_adding(lost, -1))
        session.change(
            delete(AssetCount).where(AssetCount.facet.in_(lost - {ALL}), AssetCount.count == 0)
        )


def add(session: TenantSession, changes: Mapping[str, int]) -> None:
    """Add a number, which may be negative, to the count of each facet: for changes of many assets
    at once. Rows of tags without assets are deleted."""
    lock(session)
    gained = ((facet, by) for facet, by in sorted(changes.items()) if by > 0)
    lost = ((facet, by) for facet, by in sorted(changes.items()) if by < 0)
    while part := dict(islice(gained, BATCH_SIZE)):
        rows = [{"facet": facet, "count": by} for facet, by in part.items()]
        insert_or_add(session, AssetCount, "count", rows)
    while part := dict(islice(lost, BATCH_SIZE)):
        here = AssetCount.facet.in_(part)
        by_facet = case(part, value=AssetCount.facet, else_=0)
        session.change(update(AssetCount).where(here).values(count=AssetCount.count + by_facet))
        session.change(
            delete(AssetCount).where(here, AssetCount.facet != ALL, AssetCount.count == 0)
        )


def drop_collection(session: TenantSession, collection_id: str) -> None:
    """Delete the count of a collection that is being deleted; its assets stay."""
    lock(session)
    session.change(delete(AssetCount).where(AssetCount.facet == of_collection(collection_id)))


def of(session: TenantSession, facets: Iterable[str]) -> dict[str, int]:
    """The number of assets for each of ``facets``, in their order."""
    wanted = list(facets)
    rows = session.execute(
        select(AssetCount.facet, AssetCount.count).where(AssetCount.facet.in_(wanted))
    )
    return dict.fromkeys(wanted, 0) | dict(rows.all())


def _adding(facets: Set[str], by: int) -> Update:
    return (
        update(AssetCount)
        .where(AssetCount.facet.in_(sorted(facets)))
        .values(count=AssetCount.count + by)
    )


def _insert_missing(session: TenantSession, facets: Set[str]) -> None:
    known = session.scalars(select(AssetCount.facet).where(AssetCount.facet.in_(facets)))
    session.add_all(AssetCount(facet=facet, count=1) for facet in sorted(facets - set(known)))
    session.flush()
