"""Small versions of originals on the local disk."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from app.errors import NotFound
from app.extensions import transaction
from app.models import Asset
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.library import images, previews
from app.services.processing_context import ProcessingContext
from app.services.sweep import sweep
from tests.client import ApiClient, bearer
from tests.clock import Clock, file_now
from tests.conftest import Account
from tests.images import encoded, photo
from tests.images_client import ImagesClient

pytestmark = pytest.mark.usefixtures("context")
Maker = Callable[..., tuple[Principal, Asset]]


@pytest.fixture
def work(app: Flask) -> ProcessingContext:
    context: ProcessingContext = app.extensions["lightwell"].processing_context
    return context


@pytest.fixture
def stored(client: ApiClient, acme: Account, clock: Clock) -> Maker:
    """An image of these bytes, and its owner."""

    def make(data: bytes, key: str = acme.key) -> tuple[Principal, Asset]:
        made = ImagesClient(client, key).upload(data)
        who = keys.authenticate(key, clock(), 500)
        with transaction(*who.partition) as session:
            return who, images.get(session, made["id"])

    return make


def opened(path: Path) -> Image.Image:
    image = Image.open(path)
    image.load()
    return image


def clear(width: int, height: int) -> bytes:
    buffer = BytesIO()
    picture = photo(width, height).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((width, height)))
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_large_picture_is_shown_small_and_upright(stored: Maker, work: ProcessingContext) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    who, asset = stored(encoded("JPEG", 2400, 1200, exif=exif.tobytes()))
    path = previews.view_of(who, asset, work)
    assert opened(path).size == (800, 1600)
    assert previews.media_type(path) == "image/jpeg"


def test_transparency_stays_and_small_pictures_keep_their_size(
    stored: Maker, work: ProcessingContext
) -> None:
    who, asset = stored(clear(300, 200))
    path = previews.view_of(who, asset, work)
    shown = opened(path)
    assert (shown.size, shown.mode) == ((300, 200), "RGBA")
    assert previews.media_type(path) == "image/webp"


def test_it_is_made_once_also_without_the_original(
    stored: Maker, work: ProcessingContext, client: ApiClient, acme: Account
) -> None:
    who, asset = stored(encoded("PNG"))
    path = previews.view_of(who, asset, work)
    before = path.stat().st_ino
    work.storage.delete([asset.storage_key])
    assert previews.view_of(who, asset, work).stat().st_ino == before
    path.unlink()
    with pytest.raises(NotFound, match="was deleted"):
        previews.view_of(who, asset, work)
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 1  # the upload alone


def test_many_at_once_get_whole_files(stored: Maker, work: ProcessingContext) -> None:
    who, asset = stored(encoded("JPEG", 800, 600))
    with ThreadPoolExecutor(4) as threads:
        paths = threads.map(lambda _: opened(previews.view_of(who, asset, work)).size, range(8))
    assert set(paths) == {(800, 600)}
    assert [path.name for path in work.spool_dir.iterdir()] == [
        f"preview-{who.org_id}-{asset.content}"
    ]


def test_test_data_has_the_watermark(stored: Maker, work: ProcessingContext, acme: Account) -> None:
    data = encoded("JPEG", 400, 300)
    live, marked = (
        opened(previews.view_of(*stored(data, key), work)) for key in (acme.key, acme.test_key)
    )
    before, after = (np.asarray(picture.convert("L"), int) for picture in (live, marked))
    assert (np.abs(before - after) > 60).mean() > 0.1


def test_the_sweep_removes_what_nobody_used_for_an_hour(
    stored: Maker, work: ProcessingContext, clock: Clock
) -> None:
    clock.set(file_now())
    used, unused = stored(encoded(seed=1)), stored(encoded(seed=2))
    paths = [previews.view_of(*one, work) for one in (used, unused)]
    old = (clock() - timedelta(hours=2)).timestamp()
    for path in paths:
        os.utime(path, (old, old))
        os.utime(path.parent, (old, old))
    previews.view_of(*used, work)
    # A file's ctime can't be set, so the sweep comes later.
    os.utime(paths[0].parent, ((clock() + timedelta(hours=2)).timestamp(),) * 2)
    sweep(work.storage, work.spool_dir, clock() + timedelta(hours=2))
    assert [path.exists() for path in paths] == [True, False]


def test_the_oldest_make_room(
    stored: Maker, work: ProcessingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (previews.view_of(*stored(encoded(seed=n)), work) for n in (1, 2, 3))
    sizes = [path.stat().st_size for path in (first, second, third)]
    for age, path in ((30, second), (20, first), (10, third)):
        moment = file_now().timestamp() - age
        os.utime(path.parent, (moment, moment))
    monkeypatch.setattr(previews, "MAX_BYTES", sum(sizes) + 1000)
    fourth = previews.view_of(*stored(encoded(seed=4)), work)
    assert [path.exists() for path in (first, second, third, fourth)] == [True, False, True, True]
