"""The tags that a workspace uses."""

from dataclasses import dataclass

from sqlalchemy import func, select

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
    used = (
        select(AssetCount.facet, AssetCount.count)
        .where(AssetCount.facet >= first, AssetCount.facet < first + LAST, AssetCount.count > 0)
        .order_by(AssetCount.count.desc(), AssetCount.facet)
        .limit(limit)
        .subquery()
    )
    key = func.substr(used.c.facet, len(prefix) + 1)
    # The asset that got the tag last shows how it is written.
    shown_by = (
        select(AssetTag.asset_id)
        .where(AssetTag.tag == key)
        .order_by(AssetTag.uploaded_at.desc(), AssetTag.asset_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = select(key, used.c.count, shown_by).order_by(used.c.count.desc(), used.c.facet)
    rows = session.execute(found).all()
    written = dict(
        session.execute(
            select(Asset.id, Asset.tags).where(Asset.id.in_([row[2] for row in rows]))
        ).all()
    )
    return [
        KnownTag(_spelling(key, written.get(asset_id, [])), count) for key, count, asset_id in rows
    ]


def _spelling(key: str, tags: list[str]) -> str:
    return next((tag for tag in tags if folding.tag_key(tag) == key), key)
