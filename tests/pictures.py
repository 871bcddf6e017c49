"""Assets with real files, stored without any work on images."""

from functools import lru_cache
from uuid import uuid4

from flask import Flask

from app.extensions import transaction
from app.models import Mode, new_id
from app.services.library import assets
from app.services.library.assets import Label
from tests.clock import NOON
from tests.conftest import Account
from tests.images import encoded
from tests.library import make_asset


@lru_cache
def thumbnail() -> bytes:
    return encoded("WEBP", 64, 48)


def add_picture(
    app: Flask,
    account: Account,
    content: bytes | None = None,
    mode: Mode = Mode.LIVE,
    name: str = "photo.jpg",
    **fields: object,
) -> str:
    """An image of 64 x 48 pixels with its thumbnail, or the file ``content``. Returns its id."""
    asset_id, storage = new_id("image", NOON), app.extensions["lightwell"].storage
    content = content or encoded("JPEG", 64, 48)
    values: dict[str, object] = {
        "width": 64, "height": 48, "size": len(content), "content": uuid4().hex * 2,
    }  # fmt: skip
    asset = make_asset(asset_id, name, **(values | fields))
    storage.put(asset.storage_key, [content])
    storage.put(asset.thumbnail_key, [thumbnail()])
    with app.app_context(), transaction(account.org_id, mode) as session:
        assets.add(session, asset, Label(name, tuple(asset.tags), asset.collection_id))
    return asset_id
