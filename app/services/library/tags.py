"""The tags that a workspace uses."""

from dataclasses import dataclass

from sqlalchemy import Subquery, select, union_all

from app.models import Asset, AssetCount, AssetTag
from app.services.library import facet_counts, folding
from app.tenancy import TenantSession

LAST = "\U0010ffff"


@dataclass(frozen=True)
class KnownTag:
    """A tag as somebody wrote it, and how many assets have it in any spelling."""

    tag: str
    count: int


def tags_of(session: TenantSession, beginning: str = "", limit: int = 20) -> list[KnownTag]:
    """Tags that begin so, the most used first. Case and accents don't count."""
    prefix = facet_counts.of_tag("")
    first = prefix + " ".join(folding.fold(beginning).split())
    if "\0" in first:
        return []
    used = session.execute(
        select(AssetCount.facet, AssetCount.count)
        .where(AssetCount.facet >= first, AssetCount.facet < first + LAST, AssetCount.count > 0)
        .order_by(AssetCount.count.desc(), AssetCount.facet)
        .limit(limit)
    )
    counts = {facet.removeprefix(prefix): count for facet, count in used}
    written = _written(session, list(counts))
    return [KnownTag(_spelling(key, written.get(key, [])), count) for key, count in counts.items()]


def _written(session: TenantSession, keys: list[str]) -> dict[str, list[str]]:
    """For each key the tags of the asset that got it last, which shows how it is written."""
    if not keys:
        return {}
    latest = union_all(*(select(_latest(key)) for key in keys)).subquery()
    found = select(latest.c.tag, Asset.tags).join(Asset, Asset.id == latest.c.asset_id)
    return dict(session.execute(found).all())


def _latest(key: str) -> Subquery:
    return (
        select(AssetTag.tag, AssetTag.asset_id)
        .where(AssetTag.tag == key)
        .order_by(AssetTag.uploaded_at.desc(), AssetTag.asset_id.desc())
        .limit(1)
        .subquery()
    )


def _spelling(key: str, tags: list[str]) -> str:
    return next((tag for tag in tags if folding.tag_key(tag) == key), key)
