"""What DELETE means: an asset is gone for the API at once, and its files stay for 30 days."""

from collections.abc import Callable
from io import BytesIO
from zipfile import ZipFile

import pytest
from flask import Flask
from sqlalchemy import select

from app.adapters.storage.local import LocalStorage
from app.extensions import transaction
from app.models import Asset, Origin, TrashedAsset
from app.services.library import assets, ingest, trash
from app.services.sweep import sweep
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.images import encoded
from tests.images_client import ImagesClient
from tests.workspace import finalize, get, presign, put, upload

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def run_sweep(app: Flask, clock: Clock) -> Callable[[], None]:
    container = app.extensions["lightwell"]

    def run() -> None:
        sweep(container.storage, container.settings.spool_dir, clock())

    return run


def restore(account: Account, asset_id: str) -> None:
    with transaction(account.org_id, "live") as session:
        assert trash.restore(session, [asset_id]) == [asset_id]


def test_a_deleted_asset_is_gone_and_comes_back_whole(
    client: ApiClient, acme: Account, clock: Clock, run_sweep: Callable[[], None]
) -> None:
    asset = upload(client, acme.key, encoded(), tags=["hero", "ß"], locationX=4.5)
    other = upload(client, acme.key, encoded(seed=2))
    path = f"/api/v1/assets/{asset['id']}"
    key = bearer(acme.key)
    published = client.post(f"/v1/images/{asset['id']}/publish", headers=key).json["url"]
    asset = client.get(path, headers=key).json
    assert client.get(f"{path}/export-url?maxWidth=20", headers=key).status_code == 200

    assert client.delete(path, headers=key).status_code == 204
    run_sweep()
    for answer in (
        client.get(path, headers=key),
        client.patch(path, headers=key, json={"name": "x"}),
        client.get(f"{path}/export-url?maxWidth=20", headers=key),
        client.post(f"/v1/images/{asset['id']}/blur", headers=key, json={}),
        client.delete(path, headers=key),
        get(client, published),
    ):
        assert answer.status_code == 404
    for query in ("", "?tags=hero", "?q=hero"):
        listed = client.get(f"/api/v1/assets{query}", headers=key).json["items"]
        assert asset["id"] not in [one["id"] for one in listed]
    body = {"assetIds": [asset["id"], other["id"]], "config": {"format": "PNG"}}
    assert client.post("/api/v1/exports", headers=key, json=body).status_code == 404

    restore(acme, asset["id"])
    assert client.get(path, headers=key).json == asset
    assert get(client, published).data == encoded()
    archive = client.post("/api/v1/exports", headers=key, json=body)
    with ZipFile(BytesIO(archive.data)) as files:
        assert len(files.namelist()) == 2


def test_finalizing_again_leaves_the_files_of_a_deleted_asset(
    client: ApiClient,
    acme: Account,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    run_sweep: Callable[[], None],
) -> None:
    """Also if it is deleted while the second attempt looks at the file."""
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    asset = finalize(client, acme.key, ticket["storageKey"], len(data)).json
    path = f"/api/v1/assets/{asset['id']}"
    client.delete(path, headers=bearer(acme.key))
    again = finalize(client, acme.key, ticket["storageKey"], len(data))
    assert (again.status_code, "was deleted" in again.json["error"]) == (404, True)

    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    store = ingest.store

    def slow(*args: object) -> None:
        store(*args)  # type: ignore[arg-type]  # as it is called
        monkeypatch.undo()
        made = finalize(client, acme.key, ticket["storageKey"], len(data)).json
        client.delete(f"/api/v1/assets/{made['id']}", headers=bearer(acme.key))

    monkeypatch.setattr(ingest, "store", slow)
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 404
    clock.advance(hours=2)
    run_sweep()
    with transaction(acme.org_id, "live") as session:
        keys = session.scalars(select(TrashedAsset.storage_key)).all()
    storage = client.application.extensions["lightwell"].storage
    assert isinstance(storage, LocalStorage)
    assert [storage.size(key) for key in keys] == [len(data)] * 2


def test_a_request_that_is_repeated_after_the_image_was_deleted_makes_it_anew(
    client: ApiClient, acme: Account
) -> None:
    images = ImagesClient(client, acme.key)
    image = images.upload()
    first = images.make(image, "mirror", mode="both")
    images.request("DELETE", f"/{first['id']}")
    assert images.get(first).status_code == 404
    assert images.make(image, "mirror", mode="both")["id"] != first["id"]


def row(account: Account, asset_id: str) -> Asset:
    with transaction(account.org_id, "live") as session:
        return assets.get(session, asset_id)


def test_each_asset_knows_where_it_comes_from(app: Flask, client: ApiClient, acme: Account) -> None:
    images = ImagesClient(client, acme.key)
    uploaded = row(acme, upload(client, acme.key, encoded(seed=3))["id"])
    image = images.upload()
    sent = row(acme, image["id"])
    assert uploaded.origin == sent.origin == Origin.UPLOAD
    assert (sent.made_from, sent.operations) == (None, None)
    assert sent.added_by_kind == uploaded.added_by_kind == "key"
    assert str(sent.added_by_id).startswith("key_")
    url = images.post(f"/{image['id']}/publish").json["url"]
    copied = images.request("POST", "", json={"url": url, "name": "copy"}).json
    assert row(acme, copied["id"]).origin == Origin.URL
    tried = ImagesClient(client, acme.test_key)
    painted = tried.post("/imagine", prompt="a lake", name="lake").json
    with transaction(acme.org_id, "test") as session:
        assert assets.get(session, painted["id"]).origin == Origin.PROMPT


@pytest.mark.parametrize(
    ("operation", "fields", "written"),
    [
        ("resize", {"width": 80, "fit": "fill"}, {"width": 80}),
        (
            "resize",
            {
                "width": 80,
                "height": 90,
                "fit": "contain",
                "letterbox_color": "rgb(255 136 0 / 50%)",
            },
            {"width": 80, "height": 90, "fit": "contain", "letterbox_color": "#ff880080"},
        ),
        ("crop", {"x1": 0, "y1": 0, "x2": 4, "y2": 5}, {"x1": 0, "y1": 0, "x2": 4, "y2": 5}),
        (
            "rotate",
            {"angle": 90, "unit": "degrees", "background_color": "white"},
            {"angle": 90.0, "background_color": "#ffffff"},
        ),
        ("blur", {}, {}),
        ("convert", {"format": "jpg", "name": "named"}, {"format": "jpeg"}),
    ],
)
def test_what_was_done_is_written_as_the_api_writes_it(
    client: ApiClient,
    acme: Account,
    operation: str,
    fields: dict[str, object],
    written: dict[str, object],
) -> None:
    """And sent again, it makes the same image."""
    images = ImagesClient(client, acme.key)
    image = images.upload(encoded("PNG", width=20, height=20))
    made = images.make(image, operation, **fields)
    found = row(acme, made["id"])
    assert (found.origin, found.made_from) == (Origin.IMAGE, image["id"])
    assert found.operations == [{operation: written}]
    again = images.make(image, "transform", operations=found.operations)
    assert images.download(again).data == images.download(made).data
    assert row(acme, again["id"]).operations == found.operations


def test_several_operations_keep_their_order(client: ApiClient, acme: Account) -> None:
    images = ImagesClient(client, acme.key)
    image, mark = images.upload(), images.upload(encoded("PNG", width=4, height=4))
    operations = [
        {"watermark": {"watermarks": [{"id": mark["id"], "left": 3.6, "top": 0}]}},
        {"mirror": {"mode": "both"}},
        {"watermark": {"watermarks": [{"id": mark["id"], "width": 2}]}},
    ]
    made = images.make(image, "transform", operations=operations)
    assert row(acme, made["id"]).operations == [
        {"watermark": {"watermarks": [{"id": mark["id"], "left": 4}]}},
        *operations[1:],
    ]
