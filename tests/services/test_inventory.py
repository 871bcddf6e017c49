"""Storage and rows, compared both ways: on SQLite and a folder, on PostgreSQL and S3."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import requests
from flask import Flask

from app.adapters.storage.interface import Storage
from app.adapters.storage.local import LocalStorage
from app.config import TEST_IMAGES_PER_DAY
from app.services import inventory
from app.services.exports import export_worker
from app.services.sweep import sweep
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AppMaker, DatabaseMaker
from tests.images import encoded
from tests.images_client import ImagesClient
from tests.s3 import REGION, S3Server
from tests.workspace import presign, put

HOURS_LATER = timedelta(hours=2)


@pytest.fixture(scope="module")
def folder_app(make_app: AppMaker) -> Flask:
    return make_app()


@pytest.fixture(scope="module")
def s3_app(make_app: AppMaker, make_database: DatabaseMaker, s3_server: S3Server) -> Flask:
    return make_app(
        database_url=make_database(),
        s3_bucket=s3_server.bucket,
        s3_endpoint_url=s3_server.endpoint,
        s3_region=REGION,
    )


@pytest.fixture(params=["folder", "s3"])
def app(request: pytest.FixtureRequest, clock: Clock) -> Flask:
    request.getfixturevalue("file_time" if request.param == "folder" else "real_time")
    return request.getfixturevalue(f"{request.param}_app")


@pytest.fixture
def storage(app: Flask, clock: Clock) -> Storage:
    """Without what other tests of the run have left in the bucket."""
    storage = app.extensions["lightwell"].storage
    with app.app_context():
        storage.delete(one.key for one in inventory.compare(storage, clock() + HOURS_LATER))
    return storage


@pytest.fixture
def missing(storage: Storage, filled: list[str]) -> Iterator[list[str]]:
    """All objects that rows need, which are missing until the test is over."""
    keys = [key for key in filled if not key.startswith("incoming/")]
    storage.delete(keys)
    yield keys
    for key in keys:
        storage.put(key, [b"here again"])


Find = Callable[[], dict[str, int | None]]


@pytest.fixture
def differences(app: Flask, clock: Clock, storage: Storage) -> Find:
    def find() -> dict[str, int | None]:
        with app.app_context():
            return {one.key: one.size for one in inventory.compare(storage, clock())}

    return find


@pytest.fixture
def filled(app: Flask, client: ApiClient, acme: Account, clock: Clock) -> list[str]:
    """An account with one of each. The keys that its rows name."""
    container = app.extensions["lightwell"]
    image = ImagesClient(client, acme.key).upload()
    client.get(f"/api/v1/assets/{image['id']}/export-url?maxWidth=50", headers=bearer(acme.key))
    once = {**bearer(acme.key), "Idempotency-Key": "once"}
    client.post("/api/v1/collections", headers=once, json={"name": "Kept"})
    export = {"assetIds": [image["id"]], "async": True}
    batch = client.post("/api/v1/exports", headers=bearer(acme.key), json=export).json
    with app.app_context():
        export_worker.work(
            acme.org_id, "live", batch["id"], container.processing_context, TEST_IMAGES_PER_DAY
        )
    deleted = ImagesClient(client, acme.key).upload(encoded(seed=2))
    client.delete(f"/v1/images/{deleted['id']}", headers=bearer(acme.key))
    ticket = presign(client, acme.key, len(encoded())).json
    if isinstance(container.storage, LocalStorage):
        put(client, ticket, encoded())
    else:
        requests.put(
            ticket["uploadUrl"], encoded(), headers=ticket["headers"], timeout=30
        ).raise_for_status()
    return sorted(
        one.key for page in container.storage.pages() for one in page if acme.org_id in one.key
    )


def test_what_rows_name_and_what_is_on_its_way_makes_no_difference(
    filled: list[str], differences: Find, clock: Clock
) -> None:
    folders = {"exports", "idempotency", "incoming", "orgs", "renditions", "thumbnails"}
    assert {key.partition("/")[0] for key in filled} == folders
    assert differences() == {}
    clock.advance(minutes=61)
    assert differences() == {}


def test_objects_that_no_row_knows_are_found_an_hour_later(
    app: Flask,
    acme: Account,
    storage: Storage,
    filled: list[str],
    differences: Find,
    clock: Clock,
) -> None:
    strays = {
        f"orgs/{acme.org_id}/2026/11/stray.jpg", f"incoming/orgs/{acme.org_id}/2026/11/stray.jpg",
        "alone",
        f"thumbnails/{acme.org_id}/upload_none.webp", f"renditions/{acme.org_id}/claim_none",
        f"exports/{acme.org_id}/exp_none-1.zip", f"idempotency/{acme.org_id}/idem_none-1",
        "idempotency/idem_none",
    }  # fmt: skip
    for key in strays:
        storage.put(key, [b"stray"])
    clock.advance(minutes=59)
    assert differences() == {}
    clock.advance(minutes=2)
    assert differences() == dict.fromkeys(strays, 5)
    said = app.test_cli_runner().invoke(args=["storage", "compare"])
    assert (said.exit_code, said.stdout.count("has 5 bytes, and no row knows it\n")) == (
        1,
        len(strays),
    )
    said = app.test_cli_runner().invoke(args=["storage", "compare", "--remove"])
    assert said.stdout.splitlines()[-1] == f"Differences: {len(strays)}, removed: {len(strays)}."
    assert said.exit_code == 0
    assert differences() == {}
    assert {storage.size(key) for key in strays} == {None}
    assert None not in {storage.size(key) for key in filled}


def test_rows_whose_object_is_missing_are_found(
    app: Flask,
    storage: Storage,
    missing: list[str],
    differences: Find,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert differences() == {}
    clock.advance(minutes=61)
    assert differences() == dict.fromkeys(missing)
    said = app.test_cli_runner().invoke(args=["storage", "compare", "--remove"])
    assert said.stdout.splitlines()[-1] == f"Differences: {len(missing)}, removed: 0."
    assert said.exit_code == 1
    with app.app_context(), caplog.at_level(logging.WARNING):
        assert inventory.report(storage, clock()) == len(missing)
    assert all(key in caplog.text for key in missing)


def test_what_was_discarded_is_no_stray(
    app: Flask,
    client: ApiClient,
    acme: Account,
    storage: Storage,
    filled: list[str],
    differences: Find,
    clock: Clock,
) -> None:
    clock.advance(minutes=61)
    images = client.get("/v1/images", headers=bearer(acme.key)).json["data"]
    for image in images:
        assert (
            client.delete(f"/v1/images/{image['id']}", headers=bearer(acme.key)).status_code == 204
        )
    assert images
    assert differences() == {}
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(storage, container.settings.spool_dir, clock())
    assert differences() == {}


def test_pages_of_one_find_the_same(
    missing: list[str],
    differences: Find,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "PAGE_SIZE", 1)
    clock.advance(minutes=61)
    assert differences() == dict.fromkeys(missing)
