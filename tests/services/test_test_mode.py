"""Whatever a test key has processed carries a watermark; nothing of a live key's does."""

from base64 import b64decode
from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from app.config import TEST_IMAGES_PER_DAY
from app.extensions import transaction
from app.imaging import Transform
from app.services.accounts import keys
from app.services.exports import export_worker
from app.services.library import kept_renditions
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.images import opened
from tests.images_client import ImagesClient
from tests.videos import film
from tests.workspace import get, upload

GRAY = 128


def plain(side: int = 160) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), (GRAY, GRAY, GRAY)).save(buffer, "PNG")
    return buffer.getvalue()


def marked(data: bytes) -> float:
    """The share of the pixels that visibly differ from what was uploaded."""
    pixels = np.asarray(opened(data).convert("RGB"), dtype=int)
    return float((abs(pixels - GRAY).max(axis=-1) > 8).mean())


@pytest.fixture(params=["live", "test"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def key(acme: Account, mode: str) -> str:
    return acme.key if mode == "live" else acme.test_key


def test_processed_images_are_watermarked_for_a_test_key_only(
    app: Flask, client: ApiClient, acme: Account, mode: str, key: str
) -> None:
    image = upload(client, key, plain(), "gray.png", "image/png")["id"]
    tight = b64decode(client.compress(acme.key, plain()).json["results"][0]["data"])
    compressed = client.compress(key, tight).json["results"][0]
    assert ("keptOriginal" in compressed) == (mode == "live")
    url = client.get(f"/api/v1/assets/{image}/export-url?maxWidth=120", headers=bearer(key)).json[
        "url"
    ]
    order = {"assetIds": [image], "config": {"format": "webp", "maxWidth": 100}}
    streamed = client.post("/api/v1/exports", headers=bearer(key), json=order).data
    batch = client.post("/api/v1/exports", headers=bearer(key), json={**order, "async": True}).json[
        "id"
    ]
    with app.app_context():
        context = app.extensions["lightwell"].processing_context
        export_worker.work(acme.org_id, mode, batch, context, TEST_IMAGES_PER_DAY)
    kept = client.get(f"/api/v1/exports/{batch}", headers=bearer(key)).json["downloadUrl"]
    shares = [
        marked(made)
        for made in (
            b64decode(compressed["data"]),
            get(client, url).data,
            unzipped(streamed),
            unzipped(get(client, kept).data),
        )
    ]
    assert all(share > 0.05 for share in shares) if mode == "test" else not any(shares), shares


def test_thumbnails_are_watermarked_too_and_the_files_are_not(
    client: ApiClient, mode: str, key: str
) -> None:
    """The one of an upload in two steps, that of a video, and that of an image in the other
    dialect."""
    picture, frame = plain(), np.full((160, 160, 3), GRAY, np.uint8)
    asset = upload(client, key, picture, "gray.png", "image/png")
    upload(client, key, film([frame] * 3), "gray.mp4", "video/mp4")
    image = ImagesClient(client, key).upload(picture, filename="gray.png")
    items = client.get("/api/v1/assets", headers=bearer(key)).json["items"]
    shares = [marked(get(client, item["thumbnailUrl"]).data) for item in items]
    assert len(shares) == 3
    assert all(share > 0.05 for share in shares) if mode == "test" else not any(shares), shares
    images = ImagesClient(client, key)
    assert [images.download(one).data for one in (image, asset)] == [picture, picture]


def unzipped(data: bytes) -> bytes:
    with ZipFile(BytesIO(data)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


def test_an_export_knows_the_copies_that_are_there(
    app: Flask, client: ApiClient, clock: Clock, mode: str, key: str
) -> None:
    image = upload(client, key)["id"]
    with app.app_context():
        who = keys.authenticate(key, clock())

        def missing() -> int:
            with transaction(*who.partition) as session:
                return kept_renditions.count_missing(session, who, [image], Transform())

        assert missing() == 1
        assert not client.get(f"/api/v1/assets/{image}/export-url", headers=bearer(key)).json[
            "cached"
        ]
        assert missing() == 0
    assert client.get(f"/api/v1/assets/{image}/export-url", headers=bearer(key)).json["cached"]
