"""Export URLs: rendered once, kept, signed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import numpy as np
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.storage.local import LocalStorage
from app.extensions import transaction
from app.imaging import ImagingPool, Picture, Transform, Turn
from app.services.accounts import keys
from app.services.library import assets, kept_renditions, renditions
from app.services.library.renditions import RenditionRequest, RenditionSource
from app.services.sweep import sweep
from app.web.context import Container
from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded, opened
from tests.videos import film
from tests.workspace import get, upload


@pytest.fixture
def export_url(client: ApiClient, acme: Account) -> Ask:
    def ask(
        asset: dict[str, Any],
        query: str = "format=WEBP&maxWidth=200",
        key: str = acme.key,
        client: ApiClient = client,
    ) -> Answer:
        return client.get(f"/api/v1/assets/{asset['id']}/export-url?{query}", headers=bearer(key))

    return ask


def used(client: ApiClient, account: Account) -> int:
    return int(client.get("/usage", headers=bearer(account.key)).json["used"])


@on_both_databases
def test_the_first_time_renders_and_counts_the_second_is_cached(
    client: ApiClient, acme: Account, clock: Clock, export_url: Ask
) -> None:
    asset = upload(client, acme.key)
    first = export_url(asset, "format=WEBP&maxWidth=200&ttl=7200")
    assert first.status_code == 200
    assert first.headers["X-Image-Processing-Usage"] == "1"
    body = first.json
    assert (body["assetId"], body["format"], body["ttlSeconds"], body["cached"]) == (
        asset["id"],
        "WEBP",
        7200,
        False,
    )
    assert 7195 <= (datetime.fromisoformat(body["expiresAt"]) - clock()).total_seconds() <= 7200
    served = get(client, body["url"])
    assert served.headers["Content-Type"] == "image/webp"
    assert served.headers["Content-Disposition"] == 'inline; filename="hero.webp"'
    assert opened(served.data).size == (200, 150)
    second = export_url(asset, "format=webp&maxWidth=200")
    assert second.json["cached"]
    assert second.json["ttlSeconds"] == 3600
    assert "X-Image-Processing-Usage" not in second.headers
    assert get(client, second.json["url"]).data == served.data
    assert used(client, acme) == 1


def test_a_preset_holds_and_what_is_beside_it_wins(
    client: ApiClient, acme: Account, export_url: Ask
) -> None:
    asset = upload(client, acme.key)
    preset = {"name": "tiny", "format": "PNG", "maxWidth": 64, "quality": 50}
    client.post("/api/v1/export-presets", headers=bearer(acme.key), json=preset)
    by_preset = export_url(asset, "preset=tiny").json
    assert by_preset["format"] == "PNG"
    assert opened(get(client, by_preset["url"]).data).size == (64, 48)
    mixed = export_url(asset, "preset=tiny&format=jpg&maxHeight=24").json
    assert mixed["format"] == "JPEG"
    assert opened(get(client, mixed["url"]).data).size == (32, 24)
    stretched = export_url(asset, "preset=tiny&maxHeight=64&preserveAspect=false").json
    assert opened(get(client, stretched["url"]).data).size == (64, 64)
    unknown = export_url(asset, "preset=none")
    assert (unknown.status_code, unknown.json["error"]) == (
        404,
        "Export preset 'none' does not exist in this workspace.",
    )


@pytest.mark.parametrize(
    "query",
    [
        "ttl=59", "ttl=86401", "ttl=x", "format=tiff", "quality=0", "quality=101", "quality=1.5",
        "maxWidth=0",
        "maxHeight=-1", "preserveAspect=perhaps",
    ],
)  # fmt: skip
def test_bad_queries_are_refused_and_nothing_is_counted(
    client: ApiClient, acme: Account, export_url: Ask, query: str
) -> None:
    asset = upload(client, acme.key)
    refused = export_url(asset, query)
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(query.partition("=")[0])
    assert used(client, acme) == 0


def test_a_video_is_refused_with_the_reason(
    client: ApiClient, acme: Account, export_url: Ask
) -> None:
    video = upload(
        client, acme.key, film([np.zeros((64, 64, 3), "uint8")] * 3), "clip.mp4", "video/mp4"
    )
    refused = export_url(video)
    assert refused.status_code == 400
    assert "video" in refused.json["error"]


def test_the_url_works_until_it_expires(
    client: ApiClient, acme: Account, clock: Clock, export_url: Ask
) -> None:
    asset = upload(client, acme.key)
    body = export_url(asset, "ttl=60").json
    clock.advance(seconds=58)
    assert get(client, body["url"]).status_code == 200
    clock.advance(seconds=3)
    assert get(client, body["url"]).status_code == 403


def test_no_character_of_the_url_can_be_changed(
    client: ApiClient, acme: Account, export_url: Ask
) -> None:
    path = urlsplit(export_url(upload(client, acme.key)).json["url"]).path
    start = path.rindex("/") + 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(start, len(path) - 1) | st.just(len(path) - 1), st.sampled_from(alphabet))
    def run(at: int, character: str) -> None:
        altered = path[:at] + character + path[at + 1 :]
        assert (client.get(altered).status_code == 200) == (altered == path)

    run()


@on_both_databases
def test_parallel_requests_render_once(
    app: Flask,
    client: ApiClient,
    acme: Account,
    export_url: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asset = upload(client, acme.key, encoded(width=2000, height=1500))
    drawn, submit = [], ImagingPool.submit

    def counted(*arguments: Any) -> Turn[Picture]:
        drawn.append(1)
        return submit(*arguments)

    monkeypatch.setattr(ImagingPool, "submit", counted)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: export_url(asset, client=client_of(app)), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json["cached"] for answer in answers].count(False) == 1
    assert len(drawn) == 1
    assert used(client, acme) == 1


def test_the_same_content_is_rendered_once(
    client: ApiClient, acme: Account, export_url: Ask
) -> None:
    first, second = upload(client, acme.key), upload(client, acme.key, original="copy.jpg")
    assert not export_url(first).json["cached"]
    assert export_url(second).json["cached"]
    client.delete(f"/api/v1/assets/{first['id']}", headers=bearer(acme.key))
    assert export_url(second).json["cached"]


@on_both_databases
def test_renditions_go_with_their_original(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, export_url: Ask
) -> None:
    container = app.extensions["lightwell"]
    asset = upload(client, acme.key)
    url = export_url(asset).json["url"]
    assert (
        client.delete(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key)).status_code == 204
    )
    assert export_url(asset).status_code == 404
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert get(client, url).status_code == 404
    assert not export_url(upload(client, acme.key)).json["cached"]


def test_a_rendition_that_nobody_asks_for_is_forgotten_after_a_month(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, export_url: Ask
) -> None:
    container = app.extensions["lightwell"]
    asset = upload(client, acme.key)
    export_url(asset)
    for days in (20, 20):
        clock.advance(days=days)
        with app.app_context():
            sweep(container.storage, container.settings.spool_dir, clock())
        assert export_url(asset).json["cached"]
    clock.advance(days=31)
    with app.app_context():
        assert sweep(container.storage, container.settings.spool_dir, clock())["renditions"] >= 1
    assert not export_url(asset).json["cached"]


def test_a_vanished_original_is_said_and_costs_nothing(
    app: Flask, client: ApiClient, make_account: AccountMaker, export_url: Ask
) -> None:
    account = make_account(monthly_images=1)
    asset, other = upload(client, account.key), upload(client, account.key, encoded(seed=2))
    app.extensions["lightwell"].storage.delete([asset["storageKey"]])
    for _ in range(2):
        refused = export_url(asset, key=account.key)
        assert (refused.status_code, refused.json["code"]) == (422, "unprocessable")
    month = client.get("/usage", headers=bearer(account.key)).json
    assert (month["used"], month["remaining"]) == (0, 1)
    assert export_url(other, key=account.key).status_code == 200


@on_both_databases
def test_the_monthly_limit_is_402(
    client: ApiClient, make_account: AccountMaker, export_url: Ask
) -> None:
    account = make_account(monthly_images=1)
    asset = upload(client, account.key)
    assert export_url(asset, key=account.key).status_code == 200
    refused = export_url(asset, "maxWidth=50", key=account.key)
    assert (refused.status_code, refused.json["code"]) == (402, "quota_exceeded")
    assert export_url(asset, key=account.key).json["cached"]


def test_test_keys_count_nothing_and_share_nothing(
    client: ApiClient, acme: Account, export_url: Ask
) -> None:
    live, test = upload(client, acme.key), upload(client, acme.test_key)
    assert not export_url(live).json["cached"]
    tried = export_url(test, key=acme.test_key)
    assert not tried.json["cached"]
    assert "X-Image-Processing-Usage" not in tried.headers
    assert used(client, acme) == 1


class Died(BaseException):
    """As if the process had been killed: nothing is tidied up."""


def test_a_renderer_that_died_holds_nobody_up_for_long(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    export_url: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asset = upload(client, acme.key)
    with monkeypatch.context() as patch, app.app_context():
        patch.setattr(renditions._Rendering, "_give_up", lambda _: None)
        patch.setattr(ImagingPool, "submit", lambda *_: (_ for _ in ()).throw(Died))
        with pytest.raises(Died):
            _render_as(app, acme, asset)
    clock.advance(seconds=16)
    assert not export_url(asset).json["cached"]
    assert used(client, acme) == 1
    clock.advance(minutes=6)
    container = app.extensions["lightwell"]
    with app.app_context():
        assert sweep(container.storage, container.settings.spool_dir, clock())["reservations"] >= 1
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 1


def _render_as(app: Flask, account: Account, asset: dict[str, Any]) -> None:
    container = app.extensions["lightwell"]
    who = keys.authenticate(account.key, container.clock())
    with transaction(*who.partition) as session:
        original = RenditionSource.of(assets.get(session, asset["id"]))
    with container.processing_context.folder() as folder:
        wanted = RenditionRequest(who, original, Transform(max_width=200))
        renditions.render(wanted, folder / "out", container.processing_context)


def test_an_asset_deleted_while_it_is_rendered_leaves_nothing(
    app: Flask,
    client: ApiClient,
    acme: Account,
    export_url: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asset = upload(client, acme.key)
    submit = ImagingPool.submit

    def deleting(pool: ImagingPool, *arguments: Any) -> Turn[Picture]:
        client.delete(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key))
        return submit(pool, *arguments)

    monkeypatch.setattr(ImagingPool, "submit", deleting)
    assert export_url(asset).status_code == 404
    assert used(client, acme) == 0
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, container.clock())
    left = [
        path.relative_to(container.storage.root).parts[0]
        for path in container.storage.root.rglob("*")
        if path.is_file() and acme.org_id in str(path)
    ]
    assert sorted(left) == ["orgs", "thumbnails"]  # those of the asset, in the trash


# ── the bound ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small(make_account: AccountMaker) -> Account:
    """An account that keeps a quarter of a megabyte of renditions; a PNG of the test picture at 200
    px has 80 KB."""
    return make_account(storage_mb=1, requests_per_second=100)


@on_both_databases
def test_old_renditions_make_room_and_those_with_a_url_stay(
    app: Flask, client: ApiClient, small: Account, clock: Clock, export_url: Ask
) -> None:
    container = app.extensions["lightwell"]
    asset = upload(client, small.key)
    first = "format=PNG&quality=100&maxWidth=200"
    assert not export_url(asset, f"{first}&ttl=60", key=small.key).json["cached"]
    promised = export_url(asset, f"{first}&ttl=86400", key=small.key).json["url"]
    urls = []
    for width in range(201, 207):
        clock.advance(minutes=12)
        asked = export_url(asset, f"format=PNG&quality=100&maxWidth={width}&ttl=60", key=small.key)
        urls.append(asked.json["url"])
        assert not asked.json["cached"]
        with app.app_context():
            sweep(container.storage, container.settings.spool_dir, clock())
        assert get(client, urls[-1]).status_code == get(client, promised).status_code == 200
        assert bytes_of(container, small) <= 256 * 1024
    assert not export_url(asset, "format=PNG&quality=100&maxWidth=201", key=small.key).json[
        "cached"
    ]
    assert export_url(asset, first, key=small.key).json["cached"]
    assert client.get("/usage", headers=bearer(small.key)).json["used"] == 8


def bytes_of(container: Container, account: Account) -> int:
    assert isinstance(container.storage, LocalStorage)
    return sum(
        path.stat().st_size
        for path in (container.storage.root / "renditions" / account.org_id).iterdir()
    )


def test_one_that_is_larger_than_all_that_is_kept_gets_no_url_and_is_exported(
    app: Flask, client: ApiClient, small: Account, export_url: Ask
) -> None:
    asset = upload(client, small.key)
    refused = export_url(asset, "format=PNG&quality=100", key=small.key)
    assert (refused.status_code, refused.json["code"]) == (402, "quota_exceeded")
    assert client.get("/usage", headers=bearer(small.key)).json["used"] == 0
    body = {"assetIds": [asset["id"]], "config": {"format": "PNG", "quality": 100}}
    archive = client.post("/api/v1/exports", headers=bearer(small.key), json=body)
    with ZipFile(BytesIO(archive.data)) as files:
        assert opened(files.read("hero.png")).size == (640, 480)
    assert client.get("/usage", headers=bearer(small.key)).json["used"] == 1
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, container.clock())
    assert bytes_of(container, small) == 0


def test_one_that_makes_room_while_it_is_exported_is_made_again(
    app: Flask,
    client: ApiClient,
    acme: Account,
    export_url: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its row is found, and its file is gone by the time that it is fetched."""
    container = app.extensions["lightwell"]
    asset = upload(client, acme.key)
    export_url(asset, "format=PNG&maxWidth=64")
    fetch = LocalStorage.fetch

    def too_late(storage: LocalStorage, key: str, path: Path) -> None:
        if key.startswith("renditions/"):
            monkeypatch.undo()
            with transaction(acme.org_id, "live") as session:
                kept_renditions.remove_all(session, [assets.get(session, asset["id"]).content])
            sweep(container.storage, container.settings.spool_dir, container.clock())
        fetch(storage, key, path)

    monkeypatch.setattr(LocalStorage, "fetch", too_late)
    body = {"assetIds": [asset["id"]], "config": {"format": "PNG", "maxWidth": 64}}
    archive = client.post("/api/v1/exports", headers=bearer(acme.key), json=body)
    with ZipFile(BytesIO(archive.data)) as files:
        assert files.namelist() == ["hero.png"]
