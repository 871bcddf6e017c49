"""Assets: the uploaded originals of a workspace."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, literal, select

from app.errors import NotFound
from app.models import Asset, AssetFields, AssetTag, Mode
from app.services import discarded_objects
from app.services.library import (
    collections,
    facet_counts,
    folding,
    kept_renditions,
    storage_quota,
)
from app.tenancy import TenantSession

BATCH_SIZE = 1000
"""Ids in one statement; databases limit the number of parameters."""
TEST_RETENTION = timedelta(days=90)
"""How long assets of test keys are kept."""
MAX_EXPIRED_PER_SWEEP = 50
"""Assets that one sweep removes from a workspace, whose writers wait meanwhile. In a day the sweeps
remove five times as many as one test key can make."""


@dataclass(frozen=True)
class Label:
    """The fields of an asset that users set, as opposed to the fields that its file determines."""

    name: str
    tags: tuple[str, ...] = ()
    collection_id: str | None = None
    location_x: float = 0
    location_y: float = 0


def get(session: TenantSession, asset_id: str) -> Asset:
    """Raises NotFound, with the same message for another organization's asset as for one that never
    existed."""
    if asset := session.scalar(select(Asset).where(Asset.id == asset_id)):
        return asset
    raise NotFound(f"Asset '{asset_id}' does not exist in this workspace.")


def add(session: TenantSession, asset: Asset, label: Label) -> None:
    """Add the row with its label and its tags, and count it. Raises BadRequest for an unknown
    collection."""
    collections.check(session, label.collection_id)
    asset.name, asset.tags, asset.collection_id = label.name, list(label.tags), label.collection_id
    asset.location_x, asset.location_y = label.location_x, label.location_y
    set_texts(asset)
    session.add(asset)
    session.flush()
    _write_tags(session, [asset])
    facet_counts.apply_change(session, set(), facet_counts.facets_of(asset))


def change(session: TenantSession, asset_id: str, changes: dict[str, Any]) -> Asset:
    """Set the fields of ``Label`` that are in ``changes``. Raises NotFound, BadRequest."""
    collections.check(session, changes.get("collection_id"))
    # The counts' lock serialises parallel changes of one asset, so that each sees the facets that
    # the previous one left.
    facet_counts.lock(session)
    asset = get(session, asset_id)
    before, tags = facet_counts.facets_of(asset), asset.tags
    for field, value in changes.items():
        setattr(asset, field, value)
    set_texts(asset)
    session.flush()
    if asset.tags != tags:
        session.change(delete(AssetTag).where(AssetTag.asset_id == asset_id))
        _write_tags(session, [asset])
    facet_counts.apply_change(session, before, facet_counts.facets_of(asset))
    return asset


def rewrite_tags(session: TenantSession, changed: Sequence[Asset]) -> None:
    """Write assets whose tags are others than before, and the rows by which they are found. What
    they count for is the caller's to change. At most ``BATCH_SIZE``."""
    if not changed:
        return
    for asset in changed:
        set_texts(asset)
    session.flush()
    session.change(delete(AssetTag).where(AssetTag.asset_id.in_([asset.id for asset in changed])))
    _write_tags(session, changed)


def take_out(session: TenantSession, asset_ids: Sequence[str]) -> list[Asset]:
    """Take assets out of the library, with their tags, their counts, and the renditions that no
    other asset's content needs. Ids that are not there are ignored. Returns the assets, without a
    session: their objects are the caller's to keep or to discard.

    At most ``BATCH_SIZE`` ids.
    """
    facet_counts.lock(session)
    taken = list(session.scalars(select(Asset).where(Asset.id.in_(asset_ids))))
    if not taken:
        return []
    for asset in taken:
        session.expunge(asset)
    lost = Counter(facet for asset in taken for facet in facet_counts.facets_of(asset))
    facet_counts.add(session, {facet: -number for facet, number in lost.items()})
    session.change(delete(Asset).where(Asset.id.in_([asset.id for asset in taken])))
    contents = {asset.content for asset in taken}
    needed = select(Asset.content).where(Asset.content.in_(sorted(contents))).distinct()
    if unneeded := contents.difference(session.scalars(needed)):
        kept_renditions.remove_all(session, unneeded)
    return taken


def put_back(session: TenantSession, taken: Sequence[Asset]) -> None:
    """Put assets that were taken out into the library again, and count them."""
    for asset in taken:
        set_texts(asset)
    session.add_all(taken)
    session.flush()
    _write_tags(session, taken)
    gained = Counter(facet for asset in taken for facet in facet_counts.facets_of(asset))
    facet_counts.add(session, gained)


def forget_files(session: TenantSession, gone: Iterable[AssetFields]) -> None:
    """Release the space of assets that are gone for good. The sweep removes their objects."""
    files = [(asset.size, asset.storage_key, asset.thumbnail_key) for asset in gone]
    storage_quota.release(session, sum(size for size, *_ in files))
    discarded_objects.discard(session, [key for _, *keys in files for key in keys])


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove expired assets of test keys for good, the oldest first, at most
    ``MAX_EXPIRED_PER_SWEEP``. Returns how many.

    Call it in a transaction of its own: it holds the counts' lock from the beginning.
    """
    facet_counts.lock(session)
    over = (
        select(Asset.id)
        .where(_expired(now))
        .order_by(Asset.uploaded_at, Asset.id)
        .limit(MAX_EXPIRED_PER_SWEEP)
    )
    expired = take_out(session, session.scalars(over).all())
    forget_files(session, expired)
    return len(expired)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with expired assets, as (org, mode); ``session`` must be unscoped."""
    # The concatenation keeps SQLite from scanning an index of all assets to find the distinct
    # organizations.
    org_ids = select(Asset.org_id.concat("")).where(_expired(now)).distinct()
    return {(org_id, Mode.TEST) for org_id in session.scalars(org_ids)}


def _expired(now: datetime) -> ColumnElement[bool]:
    # The mode is written literally, as in the partial index, because a plan is made before
    # parameters are known.
    is_test = Asset.mode == literal(Mode.TEST.value, literal_execute=True)
    return and_(is_test, Asset.uploaded_at <= now - TEST_RETENTION)


def unknown(session: TenantSession, asset_ids: Sequence[str]) -> list[str]:
    """Those of ``asset_ids`` that are not in this workspace."""
    known: set[str] = set()
    for part in batches(asset_ids):
        known.update(session.scalars(select(Asset.id).where(Asset.id.in_(part))))
    return [asset_id for asset_id in asset_ids if asset_id not in known]


def batches(asset_ids: Sequence[str]) -> list[Sequence[str]]:
    """The ids in batches, one for each statement."""
    return [asset_ids[start : start + BATCH_SIZE] for start in range(0, len(asset_ids), BATCH_SIZE)]


def set_texts(asset: Asset) -> None:
    """Bring its names and tags into the form in which they are stored, and set what is searched and
    sorted by."""
    asset.name, asset.original_name = folding.nfc(asset.name), folding.nfc(asset.original_name)
    if (tags := folding.distinct_tags(asset.tags)) != asset.tags:
        asset.tags = tags
    asset.sort_name = folding.sort_name(asset.name)
    asset.search = folding.search_text(asset.name, asset.original_name, asset.tags)


def tag_rows(asset: Asset) -> list[AssetTag]:
    """The rows by which an asset is found by its tags."""
    return [
        AssetTag(asset_id=asset.id, tag=key, uploaded_at=asset.uploaded_at)
        for key in map(folding.tag_key, asset.tags)
    ]


def _write_tags(session: TenantSession, written: Iterable[Asset]) -> None:
    session.add_all(row for asset in written for row in tag_rows(asset))
    session.flush()


def to_milliseconds(moment: datetime) -> datetime:
    """A datetime with the precision of answers and cursors."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
