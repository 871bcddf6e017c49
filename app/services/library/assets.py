"""Assets: the originals of a workspace, once they have come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, literal, select

from app.errors import NotFound
from app.models import Asset, AssetTag, Mode
from app.services import discarded_objects
from app.services.library import collections, facet_counts, kept_renditions, storage_quota
from app.tenancy import TenantSession

PART = 1000
"""Ids in one statement: databases bound the number of parameters."""
TEST_KEPT = timedelta(days=90)
"""How long what a test key made is kept."""
EXPIRED_AT_ONCE = 50
"""Assets that one sweep removes from a workspace, whose writers wait meanwhile. In a day these are
five times as many as one test key can make."""


@dataclass(frozen=True)
class Label:
    """What people say of an asset, as opposed to what its file says."""

    name: str
    tags: tuple[str, ...] = ()
    collection_id: str | None = None
    location_x: float = 0
    location_y: float = 0


def get(session: TenantSession, asset_id: str) -> Asset:
    """Raises NotFound, in the same words for another organization's asset as for one that never
    was."""
    if asset := session.scalar(select(Asset).where(Asset.id == asset_id)):
        return asset
    raise NotFound(f"Asset '{asset_id}' does not exist in this workspace.")


def add(session: TenantSession, asset: Asset, label: Label) -> None:
    """A new row with its label, its tags and its part in the counts. Raises BadRequest for an
    unknown collection."""
    collections.check(session, label.collection_id)
    asset.name, asset.tags, asset.collection_id = label.name, list(label.tags), label.collection_id
    asset.location_x, asset.location_y = label.location_x, label.location_y
    _index(asset)
    session.add(asset)
    session.flush()
    _write_tags(session, asset)
    facet_counts.shift(session, set(), facet_counts.facets_of(asset))


def change(session: TenantSession, asset_id: str, changes: dict[str, Any]) -> Asset:
    """Set the fields of ``Label`` that ``changes`` names. Raises NotFound, BadRequest."""
    collections.check(session, changes.get("collection_id"))
    # The counts' lock makes parallel changes of one asset take turns, so that each counts from what
    # the last one left.
    facet_counts.lock(session)
    asset = get(session, asset_id)
    before, tags = facet_counts.facets_of(asset), asset.tags
    for field, value in changes.items():
        setattr(asset, field, value)
    _index(asset)
    session.flush()
    if asset.tags != tags:
        session.change(delete(AssetTag).where(AssetTag.asset_id == asset_id))
        _write_tags(session, asset)
    facet_counts.shift(session, before, facet_counts.facets_of(asset))
    return asset


def remove(session: TenantSession, asset_id: str) -> None:
    """Gone at once, with its renditions unless another asset has the same content; the sweep
    removes the objects.

    Raises NotFound.
    """
    facet_counts.lock(session)
    asset = get(session, asset_id)
    facet_counts.shift(session, facet_counts.facets_of(asset), set())
    storage_quota.release(session, asset.size)
    discarded_objects.discard(session, (asset.storage_key, asset.thumbnail_key))
    session.delete(asset)
    session.flush()
    if not session.scalar(select(Asset.id).where(Asset.content == asset.content).limit(1)):
        kept_renditions.remove_all(session, asset.content)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove what a test key made too long ago, as by hand, the oldest first. Returns how many; a
    sweep takes no more.

    In a transaction of its own: it holds the counts' lock from the beginning.
    """
    facet_counts.lock(session)
    over = (
        select(Asset.id)
        .where(_expired(now))
        .order_by(Asset.uploaded_at, Asset.id)
        .limit(EXPIRED_AT_ONCE)
    )
    expired = session.scalars(over).all()
    for asset_id in expired:
        remove(session, asset_id)
    return len(expired)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    # Joined to nothing, so that SQLite doesn't go through an index of all assets to find each
    # organization once.
    org_ids = select(Asset.org_id.concat("")).where(_expired(now)).distinct()
    return {(org_id, Mode.TEST) for org_id in session.scalars(org_ids)}


def _expired(now: datetime) -> ColumnElement[bool]:
    # The mode as the index has it, literally: it is known before the parameters are.
    is_test = Asset.mode == literal(Mode.TEST.value, literal_execute=True)
    return and_(is_test, Asset.uploaded_at <= now - TEST_KEPT)


def unknown(session: TenantSession, asset_ids: Sequence[str]) -> list[str]:
    """Those of ``asset_ids`` that are not in this workspace."""
    known: set[str] = set()
    for part in parts(asset_ids):
        known.update(session.scalars(select(Asset.id).where(Asset.id.in_(part))))
    return [asset_id for asset_id in asset_ids if asset_id not in known]


def parts(asset_ids: Sequence[str]) -> list[Sequence[str]]:
    """As many ids at a time as go into one statement."""
    return [asset_ids[start : start + PART] for start in range(0, len(asset_ids), PART)]


def _index(asset: Asset) -> None:
    asset.sort_name = asset.name.casefold()[:255]
    asset.search = "\n".join((asset.name, asset.original_name, *asset.tags)).casefold()


def _write_tags(session: TenantSession, asset: Asset) -> None:
    session.add_all(
        AssetTag(asset_id=asset.id, tag=tag, uploaded_at=asset.uploaded_at) for tag in asset.tags
    )
    session.flush()


def to_milliseconds(moment: datetime) -> datetime:
    """As answers and cursors show moments."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
