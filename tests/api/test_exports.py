"""ZIP exports: streamed, and as jobs."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisDown

from app.adapters.storage.interface import Storage
from app.config import TEST_IMAGES_PER_DAY
from app.errors import DependencyDown
from app.extensions import transaction
from app.imaging import ImagingPool, Picture, Turn
from app.models import Kept
from app.services import kept
from app.services.exports import export_jobs, export_worker, leased_zips
from app.services.library import renditions
from app.services.sweep import sweep
from app.tenancy import unscoped
from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded, opened
from tests.videos import film
from tests.workspace import get, upload

URL = "/api/v1/exports"
SEED_CONFIG = {
    "format": "webp", "quality": 85, "maxWidth": 2560, "maxHeight": 2560, "preserveAspect": True,
    "renameOnExport": False,
}  # fmt: skip


@pytest.fixture
def export(client: ApiClient, acme: Account) -> Ask:
    def ask(
        ids: list[str], config: dict[str, Any] = SEED_CONFIG, key: str = acme.key, **fields: object
    ) -> Answer:
        body = {"assetIds": ids, "config": config, **fields}
        return client.post(URL, headers=bearer(key), json=body)

    return ask


def used(client: ApiClient, account: Account) -> int:
    return int(client.get("/usage", headers=bearer(account.key)).json["used"])


def unzipped(data: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def library(client: ApiClient, key: str, count: int) -> list[str]:
    return [
        upload(client, key, encoded(width=60 + n, height=40), f"photo-{n}.jpg")["id"]
        for n in range(count)
    ]


@on_both_databases
def test_the_seed_s_call_streams_a_zip(
    client: ApiClient, acme: Account, export: Ask, tmp_path: Path
) -> None:
    ids = library(client, acme.key, 5)
    answer = export(ids)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    files = unzipped(answer.data)
    assert list(files) == [f"photo-{n}.webp" for n in range(5)]
    assert [opened(data).size for data in files.values()] == [(60 + n, 40) for n in range(5)]
    assert {opened(data).format for data in files.values()} == {"WEBP"}
    assert used(client, acme) == 5
    assert unzipped(export(ids).data) == files
    assert used(client, acme) == 5
    if shutil.which("unzip"):
        (tmp_path / "export.zip").write_bytes(answer.data)
        subprocess.run(["unzip", "-t", tmp_path / "export.zip"], check=True, capture_output=True)


def test_entries_are_named_as_asked_and_twins_are_numbered(
    client: ApiClient, acme: Account, export: Ask
) -> None:
    ids = [
        upload(client, acme.key, encoded(seed=n), "../up/HERO.jpg", name=name)["id"]
        for n, name in enumerate(("a.b.jpg", "HERO.png", "hero"))
    ]
    assert list(unzipped(export(ids).data)) == ["HERO.webp", "HERO (2).webp", "HERO (3).webp"]
    renamed = export(ids, {"format": "jpg", "renameOnExport": True})
    assert list(unzipped(renamed.data)) == ["a.b.jpg", "HERO.jpg", "hero (2).jpg"]


def test_without_a_format_each_keeps_its_own(client: ApiClient, acme: Account, export: Ask) -> None:
    ids = [
        upload(client, acme.key, encoded(format), f"x.{format}", f"image/{format.lower()}")["id"]
        for format in ("JPEG", "PNG", "WEBP")
    ]
    assert list(unzipped(export(ids, {}).data)) == ["x.jpg", "x.png", "x.webp"]


def test_what_fails_is_listed_inside_and_costs_nothing(
    app: Flask, client: ApiClient, acme: Account, export: Ask
) -> None:
    good = upload(client, acme.key, original="good.jpg")
    vanished = upload(client, acme.key, encoded(seed=2), original="vanished.jpg")
    video = upload(
        client, acme.key, film([np.zeros((64, 64, 3), "uint8")] * 3), "clip.mp4", "video/mp4"
    )
    app.extensions["lightwell"].storage.delete([vanished["storageKey"]])
    files = unzipped(export([vanished["id"], good["id"], video["id"]]).data)
    assert list(files) == ["good.webp", "errors.json"]
    failures = json.loads(files["errors.json"])
    assert [(one["assetId"], one["name"]) for one in failures] == [
        (vanished["id"], "vanished.jpg"),
        (video["id"], "clip.mp4"),
    ]
    assert "missing in storage" in failures[0]["error"]
    assert "Videos" in failures[1]["error"]
    assert used(client, acme) == 1


@on_both_databases
def test_unknown_ids_are_named_before_any_byte(
    client: ApiClient, acme: Account, globex: Account, export: Ask
) -> None:
    own, foreign = upload(client, acme.key)["id"], upload(client, globex.key)["id"]
    test = upload(client, acme.test_key)["id"]
    refused = export([own, foreign, "image_never", test])
    assert refused.status_code == 404
    assert refused.json["errors"] == [
        f"assetIds: '{one}' does not exist" for one in (foreign, "image_never", test)
    ]
    assert used(client, acme) == 0


@pytest.mark.parametrize(
    ("ids", "fields", "field"),
    [
        ([], {}, "assetIds"), (["a", "a"], {}, "assetIds"), (["x"] * 501, {}, "assetIds"),
        ("a", {}, "assetIds"),
        ([1], {}, "assetIds.0"), (["a\u0000"], {}, "assetIds.0"),
        ([f"image_{n}" for n in range(501)], {"async": False}, "async"),
        ([str(n) for n in range(50_001)], {}, "assetIds"),
        (["a"], {"async": "yes"}, "async"), (["a"], {"config": {"width": 5}}, "config.width"),
        (["a"], {"config": {"maxWidth": 0}}, "config.maxWidth"),
        (["a"], {"config": None}, "config"),
    ],
)  # fmt: skip
def test_bad_exports_are_refused(
    export: Ask,
    ids: list[int] | list[str] | str,
    fields: dict[str, Any],
    field: str,
) -> None:
    refused = export(ids, **{"config": {}, **fields})
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(field)


@on_both_databases
def test_an_export_that_the_month_can_t_pay_is_refused_whole(
    client: ApiClient, make_account: AccountMaker, export: Ask
) -> None:
    account = make_account(monthly_images=3)
    ids = library(client, account.key, 4)
    refused = export(ids, key=account.key)
    assert (refused.status_code, refused.json["code"]) == (402, "quota_exceeded")
    assert used(client, account) == 0
    assert export(ids[:3], key=account.key).status_code == 200
    assert export(ids[:3], key=account.key).status_code == 200
    assert export(ids, key=account.key).status_code == 402
    assert used(client, account) == 3


def test_the_first_bytes_come_before_the_last_image_is_done(
    app: Flask,
    client: ApiClient,
    acme: Account,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = library(client, acme.key, 40)
    drawn = []
    submit = ImagingPool.submit

    def counted(*arguments: Any) -> Turn[Picture]:
        drawn.append(1)
        return submit(*arguments)

    monkeypatch.setattr(ImagingPool, "submit", counted)
    answer = client.post(
        URL, headers=bearer(acme.key), json={"assetIds": ids, "config": SEED_CONFIG}, buffered=False
    )
    first = next(answer.iter_encoded())
    assert first.startswith(b"PK\x03\x04")
    assert len(drawn) < 40
    answer.close()
    assert len(drawn) < 40
    assert used(client, acme) < 40
    spool = app.extensions["lightwell"].settings.spool_dir
    assert list(spool.iterdir()) == []


def test_the_server_s_own_failure_never_gives_a_zip_that_looks_whole(
    client: ApiClient, acme: Account, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = library(client, acme.key, 3)
    monkeypatch.setattr(
        type(client.application.extensions["lightwell"].storage), "put_file", lambda *_: 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        export(ids)
    assert used(client, acme) == 0


def test_a_part_of_the_server_that_is_down_ends_the_stream(
    client: ApiClient, acme: Account, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of an asset's, so it is not listed as one."""
    ids = library(client, acme.key, 2)

    def down(*_: object) -> None:
        raise DependencyDown("The storage does not answer.")

    monkeypatch.setattr(renditions, "render", down)
    with pytest.raises(DependencyDown):
        export(ids)


def run(app: Flask, client: ApiClient, account: Account, answer: Answer) -> dict[str, Any]:
    """Work on a batch export as the worker does."""
    container = app.extensions["lightwell"]
    with app.app_context():
        export_worker.work(
            account.org_id,
            "live",
            answer.json["id"],
            container.processing_context,
            TEST_IMAGES_PER_DAY,
        )
    return state(client, account, answer)


def state(client: ApiClient, account: Account, answer: Answer) -> dict[str, Any]:
    return client.get(f"{URL}/{answer.json['id']}", headers=bearer(account.key)).json


def requeue_due(app: Flask, clock: Clock) -> list[str]:
    with app.app_context(), transaction() as session, unscoped(session, "a test"):
        return [due.export_id for due in export_worker.requeue_due(session, clock())]


@on_both_databases
def test_a_batch_is_queued_worked_and_downloaded(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, export: Ask
) -> None:
    ids = library(client, acme.key, 3)
    answer = export(ids, **{"async": True})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/exports/{answer.json['id']}"
    assert (answer.json["status"], answer.json["processed"], answer.json["total"]) == (
        "queued",
        0,
        3,
    )
    done = run(app, client, acme, answer)
    assert (done["status"], done["processed"], done["failed"]) == ("done", 3, 0)
    served = get(client, done["downloadUrl"])
    assert served.headers["Content-Disposition"] == f'attachment; filename="{done["id"]}.zip"'
    assert len(served.data) == done["size"]
    assert list(unzipped(served.data)) == ["photo-0.webp", "photo-1.webp", "photo-2.webp"]
    assert client.get(URL, headers=bearer(acme.key)).json["exports"] == [done]
    assert used(client, acme) == 3
    clock.advance(hours=24)
    assert state(client, acme, answer)["downloadUrl"] is None
    container = app.extensions["lightwell"]
    with app.app_context():
        assert sweep(container.storage, container.settings.spool_dir, clock())["exports"] >= 1
    assert get(client, done["downloadUrl"]).status_code in (403, 404)
    clock.advance(days=31)
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert client.get(f"{URL}/{done['id']}", headers=bearer(acme.key)).status_code == 404


def test_more_than_five_hundred_become_a_batch(
    app: Flask,
    client: ApiClient,
    acme: Account,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.api.exports.MAX_STREAMED_ASSETS", 3)
    ids = library(client, acme.key, 4)
    assert export(ids).status_code == 202
    assert export(ids, **{"async": False}).status_code == 400
    assert export(ids[:3]).status_code == 200


@on_both_databases
def test_what_a_dead_worker_left_is_taken_up_and_counted_once(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = library(client, acme.key, 8)
    answer = export(ids, **{"async": True})

    class Died(BaseException):
        pass

    def dying(_storage: Storage, _key: str, chunks: Iterable[bytes], _type: str) -> None:
        for number, _ in enumerate(chunks):
            if number == 4:
                raise Died

    storage = app.extensions["lightwell"].storage
    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "put", dying)
        with pytest.raises(Died):
            run(app, client, acme, answer)
    assert state(client, acme, answer)["status"] == "running"
    assert answer.json["id"] not in requeue_due(app, clock)
    clock.advance(seconds=16)
    assert answer.json["id"] in requeue_due(app, clock)
    assert answer.json["id"] not in requeue_due(app, clock)
    done = run(app, client, acme, answer)
    assert (done["status"], done["processed"]) == ("done", 8)
    assert len(unzipped(get(client, done["downloadUrl"]).data)) == 8
    assert used(client, acme) == 8


@on_both_databases
def test_two_workers_on_one_export_make_it_once(
    app: Flask, client: ApiClient, acme: Account, export: Ask
) -> None:
    answer = export(library(client, acme.key, 4), **{"async": True})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: run(app, client_of(app), acme, answer), range(2)))
    done = state(client, acme, answer)
    assert done["status"] == "done"
    assert used(client, acme) == 4


def test_a_worker_whose_claim_was_taken_stops_and_leaves_the_other_s_work(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was away for longer than its lease, as a suspended machine is; another worker did the work
    meanwhile."""
    answer = export(library(client, acme.key, 2), **{"async": True})
    storage = app.extensions["lightwell"].storage
    put = type(storage).put

    def overtaken(own: Storage, key: str, chunks: Iterable[bytes], kind: str) -> None:
        monkeypatch.setattr(type(storage), "put", put)
        clock.advance(seconds=16)
        assert answer.json["id"] in requeue_due(app, clock)
        run(app, client, acme, answer)
        put(own, key, chunks, kind)

    monkeypatch.setattr(type(storage), "put", overtaken)
    done = run(app, client, acme, answer)
    assert done["status"] == "done"
    assert len(unzipped(get(client, done["downloadUrl"]).data)) == 2
    assert used(client, acme) == 2


@on_both_databases
def test_cancelling_stops_a_running_export(
    app: Flask, client: ApiClient, acme: Account, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased_zips, "HEARTBEAT_SECONDS", 0.01)
    ids = [upload(client, acme.key, encoded(width=100 + n, height=70))["id"] for n in range(30)]
    answer = export(ids, **{"async": True})
    url = f"{URL}/{answer.json['id']}"
    drawn, submit = [], ImagingPool.submit

    def cancelling(*arguments: Any) -> Turn[Picture]:
        client.delete(url, headers=bearer(acme.key))
        drawn.append(1)
        return submit(*arguments)

    monkeypatch.setattr(ImagingPool, "submit", cancelling)
    ended = run(app, client, acme, answer)
    assert len(drawn) < 30
    assert (ended["status"], ended["downloadUrl"]) == ("cancelled", None)
    assert ended["processed"] < 30
    assert client.delete(url, headers=bearer(acme.key)).status_code == 204
    assert run(app, client, acme, answer)["status"] == "cancelled"


def test_deleting_a_finished_export_removes_its_zip(
    app: Flask, client: ApiClient, acme: Account, clock: Clock, export: Ask
) -> None:
    done = run(app, client, acme, answer := export(library(client, acme.key, 1), **{"async": True}))
    assert client.delete(f"{URL}/{done['id']}", headers=bearer(acme.key)).status_code == 204
    assert client.get(f"{URL}/{done['id']}", headers=bearer(acme.key)).status_code == 404
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert get(client, done["downloadUrl"]).status_code == 404
    assert answer.json["status"] == "queued"


def test_an_export_that_always_fails_ends_as_failed(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_worker, "MAX_ATTEMPTS", 2)
    answer = export(library(client, acme.key, 1), **{"async": True})
    monkeypatch.setattr(type(app.extensions["lightwell"].storage), "put", lambda *_: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run(app, client, acme, answer)
        clock.advance(seconds=16)
        requeue_due(app, clock)
    failed = state(client, acme, answer)
    assert failed["status"] == "failed"
    assert "try it once more" in failed["error"]


def test_assets_deleted_meanwhile_are_listed(
    app: Flask, client: ApiClient, acme: Account, export: Ask
) -> None:
    ids = library(client, acme.key, 2)
    answer = export(ids, **{"async": True})
    client.delete(f"/api/v1/assets/{ids[0]}", headers=bearer(acme.key))
    done = run(app, client, acme, answer)
    assert (done["processed"], done["failed"]) == (2, 1)
    files = unzipped(get(client, done["downloadUrl"]).data)
    assert list(files) == ["photo-1.webp", "errors.json"]


def test_a_queue_that_is_down_loses_nothing(
    app: Flask,
    client: ApiClient,
    acme: Account,
    clock: Clock,
    export: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = library(client, acme.key, 1)

    def down(*_: object) -> None:
        raise RedisDown

    monkeypatch.setattr(export_jobs, "enqueue_export", down)
    answer = export(ids, **{"async": True})
    assert answer.status_code == 202
    clock.advance(seconds=16)
    assert answer.json["id"] in requeue_due(app, clock)


def test_the_ids_of_the_largest_export_fit_into_a_request(export: Ask) -> None:
    """They are unknown, which is said only of what was read."""
    refused = export([f"image_{number:024}" for number in range(50_000)])
    assert refused.status_code == 404
    assert len(refused.json["errors"]) == 100


def test_a_repeated_batch_is_one_batch_and_a_streamed_zip_is_not_kept(
    app: Flask, client: ApiClient, acme: Account, export: Ask
) -> None:
    ids = library(client, acme.key, 2)
    headers = {**bearer(acme.key), "Idempotency-Key": "once"}
    batch = {"assetIds": ids, "async": True}
    first, second = (client.post(URL, headers=headers, json=batch) for _ in range(2))
    assert (second.status_code, second.json["id"]) == (202, first.json["id"])
    headers["Idempotency-Key"] = "streamed"
    for _ in range(2):
        answer = client.post(URL, headers=headers, json={"assetIds": ids})
        assert list(unzipped(answer.data)) == ["photo-0.jpg", "photo-1.jpg"]
        assert "Idempotent-Replayed" not in answer.headers
    assert used(client, acme) == 2


def test_unfinished_exports_are_bounded(
    client: ApiClient, acme: Account, export: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "MAX_UNFINISHED", 2)
    ids = library(client, acme.key, 1)
    for _ in range(2):
        assert export(ids, **{"async": True}).status_code == 202
    refused = export(ids, **{"async": True})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")


def test_newer_zips_take_the_place_of_older_ones_which_then_are_expired(
    app: Flask, client: ApiClient, make_account: AccountMaker, clock: Clock
) -> None:
    """An account that keeps half a megabyte of ZIPs: three of 200 KB don't fit."""
    account = make_account(storage_mb=1, requests_per_second=100)
    asset = upload(client, account.key)
    body = {
        "assetIds": [asset["id"]],
        "async": True,
        "config": {"format": "PNG", "quality": 100, "maxWidth": 450},
    }
    answers = [client.post(URL, headers=bearer(account.key), json=body) for _ in range(3)]
    states = []
    for answer in answers:
        clock.advance(minutes=1)
        states.append(run(app, client, account, answer))
    assert 512 * 1024 / 3 < states[0]["size"] < 512 * 1024 / 2
    oldest, *others = (state(client, account, answer) for answer in answers)
    assert (oldest["status"], oldest["downloadUrl"]) == ("done", None)
    assert datetime.fromisoformat(oldest["expiresAt"]) <= clock()
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())
    assert get(client, states[0]["downloadUrl"]).status_code == 404
    assert [get(client, other["downloadUrl"]).status_code for other in others] == [200, 200]
    for answer in answers:
        assert (
            client.delete(f"{URL}/{answer.json['id']}", headers=bearer(account.key)).status_code
            == 204
        )
    with app.app_context(), transaction(account.org_id, "live") as session:
        assert kept.total(session, Kept.EXPORT) == 0


def test_a_zip_larger_than_all_that_is_kept_fails_with_the_reason(
    app: Flask, client: ApiClient, make_account: AccountMaker, clock: Clock
) -> None:
    account = make_account(storage_mb=1, requests_per_second=100)
    ids = [upload(client, account.key, encoded(seed=seed))["id"] for seed in range(3)]
    body = {
        "assetIds": ids,
        "async": True,
        "config": {"format": "PNG", "quality": 100, "maxWidth": 450},
    }
    done = run(app, client, account, client.post(URL, headers=bearer(account.key), json=body))
    assert (done["status"], done["downloadUrl"], done["size"]) == ("failed", None, None)
    assert "more than 0 MB" in done["error"]
    assert requeue_due(app, clock) == []
    body["async"] = False
    assert client.post(URL, headers=bearer(account.key), json=body).status_code == 200
