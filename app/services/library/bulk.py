"""Changes of many assets at once, as if each were changed by itself, in a number of statements that
does not grow with theirs."""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from sqlalchemy import select, update

from app.errors import BadRequest
from app.models import Asset
from app.services.library import assets, collections, facet_counts, folding
from app.services.library.labels import MAX_TAGS
from app.tenancy import TenantSession

MAX_IDS = assets.BATCH_SIZE
"""Assets in one change."""


@dataclass(frozen=True)
class Done:
    """The ids of the assets that are other than before, of those that are not in this workspace,
    and of those that would have had more than ``MAX_TAGS`` tags and stayed as they were."""

    changed: list[str]
    unknown: list[str]
    full: list[str]


def of_ids(session: TenantSession, asset_ids: Sequence[str]) -> list[Asset]:
    """The assets that are there, in the order of their ids. At most ``MAX_IDS``."""
    found = {
        asset.id: asset for asset in session.scalars(select(Asset).where(Asset.id.in_(asset_ids)))
    }
    return [found[asset_id] for asset_id in dict.fromkeys(asset_ids) if asset_id in found]


def add_tags(session: TenantSession, asset_ids: Sequence[str], tags: Sequence[str]) -> Done:
    """Give tags to assets, after those that they have."""
    return _retag(session, asset_ids, lambda own: folding.distinct_tags([*own, *tags]))


def remove_tags(session: TenantSession, asset_ids: Sequence[str], tags: Sequence[str]) -> Done:
    """Take tags from assets, however they are written there."""
    gone = set(map(folding.tag_key, tags))
    return _retag(
        session, asset_ids, lambda own: [tag for tag in own if folding.tag_key(tag) not in gone]
    )


def move(session: TenantSession, asset_ids: Sequence[str], collection_id: str | None) -> Done:
    """Put assets into a collection, or into none. Raises BadRequest for an unknown one."""
    collections.check(session, collection_id)
    facet_counts.lock(session)
    rows = session.execute(select(Asset.id, Asset.collection_id).where(Asset.id.in_(asset_ids)))
    before: dict[str, str | None] = dict(rows.all())
    changed = [asset_id for asset_id, place in before.items() if place != collection_id]
    if changed:
        moved = update(Asset).where(Asset.id.in_(changed)).values(collection_id=collection_id)
        session.change(moved)
        places = [before[asset_id] for asset_id in changed]
        lost = Counter(facet_counts.of_collection(place) for place in places if place is not None)
        changes = {facet: -number for facet, number in lost.items()}
        if collection_id is not None:
            changes[facet_counts.of_collection(collection_id)] = len(changed)
        facet_counts.add(session, changes)
    return done(asset_ids, set(before), set(changed))


def check_ids(asset_ids: Sequence[str]) -> None:
    """Raises BadRequest for none, too many, and what no database can hold."""
    if not asset_ids:
        problem = "ids: choose at least one image"
    elif len(asset_ids) > MAX_IDS:
        problem = f"ids: at most {MAX_IDS:,} in one request; send the others in another"
    elif any("\0" in asset_id or not asset_id.isprintable() for asset_id in asset_ids):
        problem = "ids: must not have control characters"
    else:
        return
    raise BadRequest.of_fields([problem], problem)


def _retag(
    session: TenantSession, asset_ids: Sequence[str], tags_of: Callable[[list[str]], list[str]]
) -> Done:
    # The counts' lock comes before the rows are read, so that changes at the same time take turns.
    facet_counts.lock(session)
    found = of_ids(session, asset_ids)
    new = {asset.id: tags_of(asset.tags) for asset in found}
    full = {asset.id for asset in found if len(new[asset.id]) > MAX_TAGS}
    changed = [asset for asset in found if asset.id not in full and new[asset.id] != asset.tags]
    changes = Counter[str]()
    for asset in changed:
        changes.subtract(facet_counts.facets_of(asset))
        asset.tags = new[asset.id]
        changes.update(facet_counts.facets_of(asset))
    assets.rewrite_tags(session, changed)
    facet_counts.add(session, {facet: by for facet, by in changes.items() if by})
    return done(asset_ids, set(new), {asset.id for asset in changed}, full)


def done(
    asset_ids: Sequence[str], known: Set[str], changed: Set[str], full: Set[str] = frozenset()
) -> Done:
    """Sort the ids that were asked for, each once, in their order."""
    asked = list(dict.fromkeys(asset_ids))
    return Done(
        changed=[asset_id for asset_id in asked if asset_id in changed],
        unknown=[asset_id for asset_id in asked if asset_id not in known],
        full=[asset_id for asset_id in asked if asset_id in full],
    )
