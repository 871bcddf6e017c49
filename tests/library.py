"""Assets for tests, written as ``services.assets`` writes them, with files that nobody looks at."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import delete

from app.extensions import transaction
from app.models import Asset, AssetCount, Collection, MediaType, StorageCounter
from app.services.library import facet_counts, storage_quota
from app.services.library.assets import set_texts, tag_rows
from app.tenancy import TenantSession, insert_if_absent
from tests.conftest import Account

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def make_asset(asset_id: str, name: str = "photo.jpg", **fields: object) -> Asset:
    """Not yet stored. ``fields`` are those of ``Asset``; what is searched and sorted by follows
    from them."""
    values: dict[str, object] = {
        "original_name": name, "media_type": MediaType.IMAGE, "mime_type": "image/jpeg",
        "kind": "jpeg", "size": 1000,
        "width": 4, "height": 3, "frames": 1, "content": "0" * 64,
        "thumbnail_key": f"thumbnails/{asset_id}",
        "tags": [], "location_x": 0.0, "location_y": 0.0, "uploaded_at": MOMENT,
        "storage_key": f"assets/{asset_id}",
    }  # fmt: skip
    asset = Asset(id=asset_id, name=name, **(values | fields))
    set_texts(asset)
    return asset


def store(session: TenantSession, assets: Iterable[Asset]) -> None:
    """Into a library that has none yet: assets, tags, counts."""
    assets = list(assets)
    session.add_all(assets)
    session.flush()
    session.add_all(row for asset in assets for row in tag_rows(asset))
    numbers = Counter(facet for asset in assets for facet in facet_counts.facets_of(asset))
    session.add_all(AssetCount(facet=facet, count=number) for facet, number in numbers.items())
    session.flush()


def reserve_space(app: Flask, account: Account, size: int = 10**9) -> None:
    """For assets that tests leave behind past the quota. A later sweep releases their space."""
    with app.app_context(), transaction(account.org_id) as session:
        insert_if_absent(session, StorageCounter, bytes=0)
        storage_quota.release(session, -size)


def empty(session: TenantSession) -> None:
    for model in (Asset, AssetCount):
        session.change(delete(model))


def make_collection(collection_id: str) -> Collection:
    return Collection(
        id=collection_id,
        name=collection_id,
        place=f"/{collection_id}",
        created_at=MOMENT,
        updated_at=MOMENT,
    )
