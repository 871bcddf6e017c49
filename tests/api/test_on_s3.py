"""The way of a file on the parts of a deployment: PostgreSQL and S3."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
import requests
from flask import Flask

from app.config import TEST_IMAGES_PER_DAY
from app.services.exports import export_worker
from app.services.sweep import sweep
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AppMaker, DatabaseMaker
from tests.images import encoded, opened
from tests.images_client import ImagesClient
from tests.s3 import REGION, S3Server
from tests.workspace import finalize, presign


@pytest.fixture(scope="module")
def s3_app(make_app: AppMaker, make_database: DatabaseMaker, s3_server: S3Server) -> Flask:
    return make_app(
        database_url=make_database(),
        s3_bucket=s3_server.bucket,
        s3_endpoint_url=s3_server.endpoint,
        s3_region=REGION,
    )


@pytest.fixture
def app(s3_app: Flask, real_time: None) -> Flask:
    return s3_app


@pytest.fixture
def stored(s3_server: S3Server, acme: Account) -> Callable[[], list[str]]:
    """The keys of acme's objects, without what was made of them."""

    def keys() -> list[str]:
        found = s3_server.client.list_objects_v2(Bucket=s3_server.bucket).get("Contents", [])
        return sorted(one["Key"] for one in found if acme.org_id in one["Key"])

    return keys


def upload(client: ApiClient, key: str, data: bytes) -> dict[str, Any]:
    ticket = presign(client, key, len(data)).json
    requests.put(
        ticket["uploadUrl"], data=data, headers=ticket["headers"], timeout=30
    ).raise_for_status()
    return finalize(client, key, ticket["storageKey"], len(data)).json


def test_from_upload_to_export_to_nothing(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, stored: Callable[[], list[str]]
) -> None:
    data = encoded()
    asset = upload(client, acme.key, data)
    assert asset["storageKey"] in stored()
    assert len(stored()) == 2
    assert opened(requests.get(asset["thumbnailUrl"], timeout=30).content).size == (480, 360)
    url = f"/api/v1/assets/{asset['id']}/export-url?format=PNG&maxWidth=64"
    first, second = (client.get(url, headers=bearer(acme.key)).json for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, True)
    served = requests.get(second["url"], timeout=30)
    assert served.headers["Content-Type"] == "image/png"
    assert opened(served.content).size == (64, 48)
    body = {"assetIds": [asset["id"]], "config": {"format": "png", "maxWidth": 64}}
    with ZipFile(
        BytesIO(client.post("/api/v1/exports", headers=bearer(acme.key), json=body).data)
    ) as archive:
        assert archive.read("hero.png") == served.content
    batch = client.post(
        "/api/v1/exports", headers=bearer(acme.key), json={**body, "async": True}
    ).json
    container = app.extensions["lightwell"]
    with app.app_context():
        export_worker.work(
            acme.org_id, "live", batch["id"], container.processing_context, TEST_IMAGES_PER_DAY
        )
    done = client.get(f"/api/v1/exports/{batch['id']}", headers=bearer(acme.key)).json
    with ZipFile(BytesIO(requests.get(done["downloadUrl"], timeout=30).content)) as archive:
        assert archive.namelist() == ["hero.png"]
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 1
    assert (
        client.delete(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key)).status_code == 204
    )
    clock.advance(days=31)  # out of the trash
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert stored() == []


def test_a_wrong_file_leaves_nothing(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, stored: Callable[[], list[str]]
) -> None:
    data = b"<svg/>" * 100
    ticket = presign(client, acme.key, len(data)).json
    requests.put(
        ticket["uploadUrl"], data=data, headers=ticket["headers"], timeout=30
    ).raise_for_status()
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 422
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert stored() == []


def test_an_answer_that_was_kept_is_given_again(client: ApiClient, acme: Account) -> None:
    headers = {**bearer(acme.key), "Idempotency-Key": "once"}
    body = {"name": "Kept"}
    answers = [client.post("/api/v1/collections", headers=headers, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_images_are_made_sent_and_published(
    client: ApiClient, acme: Account, clock: Clock, stored: Callable[[], list[str]], app: Flask
) -> None:
    images = ImagesClient(client, acme.key)
    original = images.upload()
    small = images.make(original, "resize", width=100)
    assert len(stored()) == 4
    whole = images.download(small)
    assert opened(whole.data).size == (100, 75)
    part = images.download(small, Range="bytes=-10")
    assert (part.status_code, part.data) == (206, whole.data[-10:])
    url = images.post(f"/{small['id']}/publish").json["url"]
    seen = images.public(url)
    assert (seen.data, seen.headers["ETag"]) == (whole.data, whole.headers["ETag"])
    images.post(f"/{small['id']}/unpublish")
    assert images.public(url).status_code == 404
    for image in (original, small):
        assert images.request("DELETE", f"/{image['id']}").status_code == 204
    clock.advance(days=31)  # out of the trash
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert stored() == []
