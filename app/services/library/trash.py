"""The trash: deleted assets, as they were, until they are restored or purged.

A deleted asset is a row of another table, so that no list, search or URL finds it. Its files stay,
and count as storage. All changes hold the lock of the counts, which thus agree with the rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, inspect, select, tuple_, update

from app.errors import NotFound
from app.models import Actor, ActorKind, Asset, AssetFields, Collection, Mode, TrashedAsset
from app.services import audit, discarded_objects
from app.services.library import assets, facet_counts, storage_quota
from app.services.library.facet_counts import TRASH, TRASH_BYTES
from app.tenancy import TenantSession, partitions_with

RETENTION = timedelta(days=30)
MAX_PURGED_PER_SWEEP = 1000
"""Assets that one sweep purges in a workspace, whose writers wait meanwhile."""
EMPTIED_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of deletion of assets that were in the trash when it was emptied. Their space is
released already; the next sweeps remove rows and files, because a trash may hold more than one
transaction should."""
IS_THERE = TrashedAsset.deleted_at > EMPTIED_AT
"""Whether a row is in the trash as people see it."""


class Totals(NamedTuple):
    """What the trash holds."""

    number: int
    size: int


class Place(NamedTuple):
    """The place of an asset in the trash, where a page ends."""

    deleted_at: datetime
    asset_id: str


@dataclass(frozen=True)
class TrashPage:
    """Assets, the last deleted first. ``next`` is where the next page begins, None on the last
    one."""

    assets: Sequence[TrashedAsset]
    next: Place | None


def put(session: TenantSession, actor: Actor, asset_ids: Sequence[str], now: datetime) -> list[str]:
    """Delete assets: move them to the trash. Returns the ids of those that were there."""
    moved: list[str] = []
    for part in assets.batches(asset_ids):
        taken = assets.take_out(session, part)
        trashed = [_trashed(asset, actor, now) for asset in taken]
        session.add_all(trashed)
        session.flush()
        _count(session, trashed, 1)
        moved.extend(asset.id for asset in taken)
    return moved


def put_one(session: TenantSession, actor: Actor, asset_id: str, now: datetime) -> None:
    """Delete an asset. Raises NotFound."""
    if not put(session, actor, [asset_id], now):
        raise NotFound(f"Asset '{asset_id}' does not exist in this workspace.")


def restore(session: TenantSession, asset_ids: Sequence[str]) -> list[str]:
    """Put assets back as they were, with their published URLs; without a collection if theirs is
    gone. Returns the ids of those that were in the trash."""
    restored: list[str] = []
    for part in assets.batches(asset_ids):
        back = [_as_asset(row) for row in _take_out(session, TrashedAsset.id.in_(part))]
        wanted = {asset.collection_id for asset in back} - {None}
        known = set(session.scalars(select(Collection.id).where(Collection.id.in_(wanted))))
        for asset in back:
            if asset.collection_id not in known:
                asset.collection_id = None
        assets.put_back(session, back)
        restored.extend(asset.id for asset in back)
    return restored


def purge(session: TenantSession, asset_ids: Sequence[str]) -> list[str]:
    """Delete assets in the trash for good. Returns the ids of those that were there."""
    purged: list[str] = []
    for part in assets.batches(asset_ids):
        gone = _take_out(session, TrashedAsset.id.in_(part))
        assets.forget_files(session, gone)
        purged.extend(row.id for row in gone)
    return purged


def empty(session: TenantSession, actor: Actor, until: datetime, now: datetime) -> Totals:
    """Delete for good what was in the trash at ``until``: nobody sees it any more, and its space is
    free. The sweep removes rows and files. Returns what was there."""
    facet_counts.lock(session)
    there = (IS_THERE, TrashedAsset.deleted_at <= until)
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(TrashedAsset.size), 0)).where(*there)
    ).one()
    lost = Totals(row[0], int(row[1]))
    if lost.number:
        session.change(update(TrashedAsset).where(*there).values(deleted_at=EMPTIED_AT))
        facet_counts.add(session, {TRASH: -lost.number, TRASH_BYTES: -lost.size})
        storage_quota.release(session, lost.size)
        after = {"images": lost.number, "bytes": lost.size, "mode": session.mode}
        audit.record(session, actor, "trash.emptied", {}, after, now)
    return lost


def page_of(session: TenantSession, before: Place | None, size: int) -> TrashPage:
    """``size`` assets that were deleted before the place, or the last deleted ones."""
    key = (TrashedAsset.deleted_at, TrashedAsset.id)
    wanted = select(TrashedAsset).where(IS_THERE)
    if before:
        wanted = wanted.where(tuple_(*key) < before)
    newest = wanted.order_by(*(column.desc() for column in key)).limit(size + 1)
    found = session.scalars(newest).all()
    last = found[size - 1] if len(found) > size else None
    return TrashPage(found[:size], Place(last.deleted_at, last.id) if last else None)


def find(session: TenantSession, asset_id: str) -> TrashedAsset | None:
    return session.scalar(select(TrashedAsset).where(IS_THERE, TrashedAsset.id == asset_id))


def totals(session: TenantSession) -> Totals:
    return Totals(*facet_counts.of(session, [TRASH, TRASH_BYTES]).values())


def holds_file(session: TenantSession, storage_key: str) -> bool:
    """Whether the file at ``storage_key`` belongs to an asset that was deleted, and may be
    restored."""
    holding = select(TrashedAsset.id).where(TrashedAsset.storage_key == storage_key)
    return session.scalar(holding) is not None


def goes_at(row: TrashedAsset) -> datetime:
    """When it is purged."""
    return row.deleted_at + RETENTION


def deleted_by(row: TrashedAsset) -> Actor:
    return Actor(ActorKind(row.deleted_by_kind), row.deleted_by_id)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Purge what has been in the trash for 30 days, and what was there when it was emptied, at most
    ``MAX_PURGED_PER_SWEEP``. Returns how many.

    Call it in a transaction of its own: it holds the counts' lock from the beginning.
    """
    facet_counts.lock(session)
    over = select(TrashedAsset).where(_expired(now)).order_by(TrashedAsset.deleted_at)
    rows = session.scalars(over.limit(MAX_PURGED_PER_SWEEP)).all()
    emptied = [row for row in rows if row.deleted_at == EMPTIED_AT]
    session.change(delete(TrashedAsset).where(TrashedAsset.id.in_([row.id for row in emptied])))
    discarded_objects.discard(
        session, [key for row in emptied for key in (row.storage_key, row.thumbnail_key)]
    )
    purge(session, [row.id for row in rows if row.deleted_at > EMPTIED_AT])
    return len(rows)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with something to purge, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, TrashedAsset, _expired(now))


def _expired(now: datetime) -> ColumnElement[bool]:
    return TrashedAsset.deleted_at <= now - RETENTION


def _trashed(asset: Asset, actor: Actor, now: datetime) -> TrashedAsset:
    """An asset of a test key goes when it would have gone without being deleted, if that is sooner:
    its time of deletion is set back, so that one index finds all that is due."""
    if asset.mode == Mode.TEST:
        now = min(now, asset.uploaded_at + assets.TEST_RETENTION - RETENTION)
    return TrashedAsset(
        **_fields(asset), deleted_at=now, deleted_by_kind=actor.kind, deleted_by_id=actor.id
    )


def _as_asset(row: TrashedAsset) -> Asset:
    return Asset(**_fields(row))


def _fields(row: AssetFields) -> dict[str, Any]:
    """All columns that both tables have, those of its organization and mode too."""
    return {column.key: getattr(row, column.key) for column in inspect(Asset).column_attrs}


def _take_out(session: TenantSession, condition: ColumnElement[bool]) -> list[TrashedAsset]:
    """Take rows out of the trash and its counts. Returns them without a session."""
    facet_counts.lock(session)
    rows = list(session.scalars(select(TrashedAsset).where(IS_THERE, condition)))
    for row in rows:
        session.expunge(row)
    session.change(delete(TrashedAsset).where(TrashedAsset.id.in_([row.id for row in rows])))
    _count(session, rows, -1)
    return rows


def _count(session: TenantSession, rows: Iterable[TrashedAsset], sign: int) -> None:
    sizes = [row.size for row in rows]
    facet_counts.add(session, {TRASH: sign * len(sizes), TRASH_BYTES: sign * sum(sizes)})
