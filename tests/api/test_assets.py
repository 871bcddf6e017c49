"""The workspace's assets: upload in two steps, look at, change, delete."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from flask import Flask

from app.adapters.storage.local import LocalStorage
from app.extensions import transaction
from app.services.library import storage_quota, trash, uploads
from app.services.sweep import sweep
from app.web.context import Container
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded, opened
from tests.imaging.samples import is_near, pixel
from tests.videos import film
from tests.workspace import finalize, get, presign, put, upload

HTML = b"<!doctype html><script>alert(1)</script>" + b" " * 500
SVG = (
    b'<?xml version="1.0"?>'
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script/></svg>'
)


@pytest.fixture
def tools(app: Flask) -> Container:
    return app.extensions["lightwell"]


@pytest.fixture
def run_sweep(app: Flask, tools: Container) -> Callable[[], Counter[str]]:
    def run() -> Counter[str]:
        with app.app_context():
            return sweep(tools.storage, tools.settings.spool_dir, tools.clock())

    return run


def stored_files(tools: Container, account: Account) -> set[str]:
    assert isinstance(tools.storage, LocalStorage)
    return {
        str(path.relative_to(tools.storage.root))
        for path in tools.storage.root.rglob("*")
        if path.is_file() and account.org_id in str(path)
    }


@on_both_databases
def test_the_seed_s_three_steps(client: ApiClient, acme: Account, clock: Clock) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data))
    assert ticket.status_code == 200
    assert ticket.json["method"] == "PUT"
    assert ticket.json["headers"] == {"Content-Type": "image/jpeg"}
    month = clock().strftime("%Y/%m")
    assert re.fullmatch(
        rf"orgs/{acme.org_id}/{month}/[0-9a-f-]{{36}}-hero\.jpg", ticket.json["storageKey"]
    )
    valid = datetime.fromisoformat(ticket.json["expiresAt"]) - clock()
    assert 890 < valid.total_seconds() <= 900
    assert put(client, ticket.json, data).status_code == 200
    made = finalize(client, acme.key, ticket.json["storageKey"], len(data), tags=["hero", "2024"])
    assert made.status_code == 201
    asset = made.json
    assert re.fullmatch(r"image_[0-9a-z]{24}", asset["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", asset["uploadedAt"])
    expected = {
        "name": "hero.jpg", "originalName": "hero.jpg", "size": len(data), "mimeType": "image/jpeg",
        "mediaType": "IMAGE", "storageKey": ticket.json["storageKey"], "tags": ["hero", "2024"],
        "collectionId": None,
        "locationX": 0, "locationY": 0, "width": 640, "height": 480, "durationMs": None,
    }  # fmt: skip
    assert expected.items() <= asset.items()
    again = finalize(client, acme.key, ticket.json["storageKey"], len(data))
    assert (again.status_code, again.json["id"]) == (200, asset["id"])
    assert client.get(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key)).json == asset
    listed = client.get("/api/v1/assets?page=1&pageSize=50", headers=bearer(acme.key)).json
    assert listed["items"] == [asset]
    assert (listed["page"], listed["pageSize"], listed["total"], listed["totalPages"]) == (
        1,
        50,
        1,
        1,
    )


def test_the_file_s_last_name_and_the_usual_media_type_are_kept(
    client: ApiClient, acme: Account
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data), "draft.jpg", "image/jpg").json
    put(client, ticket, data)
    about = {"originalName": "../final.jpg", "mimeType": "image/JPG", "name": "Hero"}
    asset = finalize(client, acme.key, ticket["storageKey"], len(data), **about).json
    assert (asset["name"], asset["originalName"], asset["mimeType"]) == (
        "Hero",
        "final.jpg",
        "image/jpeg",
    )


def test_an_original_is_free_and_its_thumbnail_is_small_and_upright(
    client: ApiClient, acme: Account
) -> None:
    turned = encoded(width=1200, height=800, exif=_orientation(6))
    asset = upload(client, acme.key, turned)
    assert (asset["width"], asset["height"]) == (800, 1200)
    answer = get(client, asset["thumbnailUrl"])
    assert answer.headers["Content-Type"] == "image/webp"
    assert opened(answer.data).size == (320, 480)
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 0


def _orientation(value: int) -> bytes:
    exif = opened(encoded()).getexif()
    exif[0x0112] = value
    return exif.tobytes()


@pytest.mark.parametrize(
    ("container", "mime"),
    [("mp4", "video/mp4"), ("mov", "video/quicktime"), ("webm", "video/webm")],
)
def test_videos_have_a_duration_and_a_poster(
    client: ApiClient, acme: Account, container: str, mime: str
) -> None:
    frames = [np.full((120, 160, 3), (200, 40, 40), dtype="uint8")] * 20
    asset = upload(client, acme.key, film(frames, container), f"clip.{container}", mime)
    assert asset["id"].startswith("video_")
    assert (asset["mediaType"], asset["width"], asset["height"]) == ("VIDEO", 160, 120)
    assert 1900 <= asset["durationMs"] <= 2100
    poster = opened(get(client, asset["thumbnailUrl"]).data).convert("RGB")
    assert poster.size == (160, 120)
    assert is_near(pixel(poster, 80, 60), (200, 40, 40))
    listed = client.get("/api/v1/assets?type=VIDEO", headers=bearer(acme.key)).json
    assert [item["id"] for item in listed["items"]] == [asset["id"]]


@pytest.mark.parametrize(
    ("data", "mime", "status"),
    [
        (HTML, "image/jpeg", 422),
        (SVG, "image/png", 422),
        (encoded()[:2000], "image/jpeg", 422),
        (encoded("PNG"), "image/jpeg", 422),
        (b"\0" * 500, "video/mp4", 422),
        (encoded(), "video/mp4", 422),
    ],
)
def test_what_is_not_what_was_declared_is_refused_and_removed(
    client: ApiClient,
    acme: Account,
    tools: Container,
    run_sweep: Callable[[], Counter[str]],
    data: bytes,
    mime: str,
    status: int,
) -> None:
    ticket = presign(client, acme.key, len(data), "innocent.jpg", mime).json
    assert put(client, ticket, data).status_code == 200
    refused = finalize(client, acme.key, ticket["storageKey"], len(data), mimeType=mime)
    assert refused.status_code == status
    again = finalize(client, acme.key, ticket["storageKey"], len(data), mimeType=mime)
    assert (again.status_code, again.json["code"]) == (422, "unprocessable")
    assert f"stays refused: {refused.json['error']}" in again.json["error"]
    assert client.get("/api/v1/assets", headers=bearer(acme.key)).json["total"] == 0
    run_sweep()
    assert stored_files(tools, acme) == set()


@on_both_databases
def test_a_refused_upload_lives_as_long_as_its_url(
    client: ApiClient,
    acme: Account,
    clock: Clock,
    tools: Container,
    run_sweep: Callable[[], Counter[str]],
) -> None:
    """Its URL may bring the bytes once more: they count until then, and the next sweep removes
    them."""
    data = HTML * 100
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 422
    for _ in range(3):
        run_sweep()
        assert stored_files(tools, acme) == set()
        assert put(client, ticket, data).status_code == 200
        assert stored_files(tools, acme) == {f"incoming/{ticket['storageKey']}"}
        assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 422
        assert space_used(client.application, acme) == len(data)
    clock.advance(minutes=76)
    assert put(client, ticket, data).status_code == 403
    run_sweep()
    assert stored_files(tools, acme) == set()
    assert space_used(client.application, acme) == 0
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 404


def test_bytes_that_come_after_an_asset_was_finalized_or_deleted_go_with_the_next_sweep(
    client: ApiClient, acme: Account, tools: Container, run_sweep: Callable[[], Counter[str]]
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    waiting = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    put(client, waiting, data)
    asset = finalize(client, acme.key, ticket["storageKey"], len(data)).json
    for _ in range(2):
        assert put(client, ticket, data).status_code == 200
        run_sweep()
        incoming = {name for name in stored_files(tools, acme) if name.startswith("incoming/")}
        assert incoming == {f"incoming/{waiting['storageKey']}"}
        client.delete(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key))
    assert finalize(client, acme.key, waiting["storageKey"], len(data)).status_code == 201


def test_another_size_or_type_than_lies_there_is_refused(client: ApiClient, acme: Account) -> None:
    data = encoded()
    others: list[dict[str, Any]] = [{"size": len(data) - 1}, {"mimeType": "image/png"}]
    for fields in others:
        ticket = presign(client, acme.key, len(data)).json
        put(client, ticket, data)
        refused = finalize(client, acme.key, ticket["storageKey"], **{"size": len(data), **fields})
        assert refused.status_code == 422
        assert next(iter(fields)) in refused.json["errors"][0]


def test_finalizing_before_the_upload_says_so_and_loses_nothing(
    client: ApiClient, acme: Account
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    early = finalize(client, acme.key, ticket["storageKey"], len(data))
    assert (early.status_code, early.json["code"]) == (422, "unprocessable")
    put(client, ticket, data)
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 201


def test_storage_keys_of_every_shape_are_refused(
    client: ApiClient, acme: Account, globex: Account
) -> None:
    data = encoded()
    ours, theirs = (
        presign(client, account.key, len(data)).json["storageKey"] for account in (acme, globex)
    )
    strange = {
        theirs: 403,
        "orgs/org_nobody/2026/01/x-hero.jpg": 403,
        f"orgs/{acme.org_id}/../{globex.org_id}/2026/04/x.jpg": 404,
        f"orgs/{acme.org_id}/2026/04/invented-hero.jpg": 404,
        f"{ours}x": 404,
        f"{ours}/../{theirs}": 404,
        ours.replace("/", "%2F"): 403,
        f"incoming/{ours}": 403,
        f"../{ours}": 403,
        f"/{ours}": 403,
        "": 403,
        "/etc/passwd": 403,
        f"{ours}\n": 400,
        f"{ours}\0": 400,
        "x" * 513: 400,
    }
    for key, status in strange.items():
        assert finalize(client, acme.key, key, len(data)).status_code == status, key
    missing = client.post(
        "/api/v1/assets",
        headers=bearer(acme.key),
        json={"mode": "finalize", "originalName": "a.jpg", "mimeType": "image/jpeg", "size": 5},
    )
    assert missing.json["errors"] == ["storageKey: is required with mode 'finalize'"]


def test_a_test_key_can_t_finalize_what_a_live_key_began(client: ApiClient, acme: Account) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    assert finalize(client, acme.test_key, ticket["storageKey"], len(data)).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0), ("size", -1), ("size", 1.5), ("size", "5"), ("size", 2**60),
        ("mimeType", "text/html"), ("mimeType", "image/svg+xml"),
        ("mimeType", "image/jpeg; charset=utf-8"),
        ("mimeType", ""), ("originalName", ""), ("originalName", "x" * 256),
        ("originalName", "a\u0000b"),
        ("mode", "upload"), ("colour", "red"), ("tags", ["x"] * 10_000 + ["y"]),
        ("tags", [str(n) for n in range(51)]),
        ("tags", [""]), ("tags", ["x" * 65]), ("tags", "hero"), ("locationX", "1"),
    ],
)  # fmt: skip
def test_bad_fields_are_named(
    client: ApiClient, acme: Account, field: str, value: float | list[str] | str
) -> None:
    body = {
        "mode": "presign",
        "originalName": "a.jpg",
        "mimeType": "image/jpeg",
        "size": 5,
        field: value,
    }
    refused = client.post("/api/v1/assets", headers=bearer(acme.key), json=body)
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(field)


def test_ten_thousand_equal_tags_are_too_many(client: ApiClient, acme: Account) -> None:
    asset = upload(client, acme.key)
    url = f"/api/v1/assets/{asset['id']}"
    assert (
        client.patch(url, headers=bearer(acme.key), json={"tags": ["x"] * 10_000}).status_code
        == 400
    )
    assert client.get(
        "/api/v1/assets?tags=" + ",".join(map(str, range(10_000))), headers=bearer(acme.key)
    ).status_code in (
        400,
        414,
    )


def test_a_file_over_the_plan_s_size_is_413(client: ApiClient, make_account: AccountMaker) -> None:
    account = make_account(plan="TEAM")
    refused = presign(client, account.key, 50 * 1024 * 1024 + 1)
    assert (refused.status_code, refused.json["code"]) == (413, "too_large")


def space_used(app: Flask, account: Account) -> int:
    with app.app_context(), transaction(account.org_id) as session:
        return storage_quota.used(session)


@on_both_databases
def test_parallel_presigns_never_pass_the_plan_s_storage(
    app: Flask, client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(storage_mb=1, requests_per_second=100_000)

    def attempt(_: int) -> int:
        return presign(client_of(app), account.key, 100 * 1024).status_code

    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(attempt, range(32)))
    assert sorted(set(statuses)) == [200, 402]
    assert statuses.count(200) == 10
    assert space_used(app, account) == 10 * 100 * 1024


@on_both_databases
def test_purging_frees_space_and_abandoned_uploads_give_theirs_back(
    app: Flask,
    client: ApiClient,
    make_account: AccountMaker,
    clock: Clock,
    run_sweep: Callable[[], Counter[str]],
) -> None:
    data = encoded()
    account = make_account(storage_mb=1)
    asset = upload(client, account.key, data)
    assert space_used(app, account) == len(data)
    rest = 1024 * 1024 - len(data)
    assert presign(client, account.key, rest).status_code == 200
    full = presign(client, account.key, 1)
    assert (full.status_code, full.json["code"]) == (402, "quota_exceeded")
    assert "trash" in full.json["error"]
    deleted = client.delete(f"/api/v1/assets/{asset['id']}", headers=bearer(account.key))
    assert deleted.status_code == 204
    assert presign(client, account.key, len(data)).status_code == 402
    with app.app_context(), transaction(account.org_id, "live") as session:
        assert trash.purge(session, [asset["id"]]) == [asset["id"]]
    assert presign(client, account.key, len(data)).status_code == 200
    clock.advance(hours=1)
    run_sweep()
    assert presign(client, account.key, 1).status_code == 402
    clock.advance(minutes=16)
    assert presign(client, account.key, 1).status_code == 200
    assert space_used(app, account) == 1


def test_an_upload_in_progress_is_not_swept(
    client: ApiClient, acme: Account, clock: Clock, run_sweep: Callable[[], Counter[str]]
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    clock.advance(minutes=70)
    run_sweep()
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 201


@on_both_databases
def test_the_sweep_removes_what_is_over_and_nothing_else(
    client: ApiClient,
    acme: Account,
    clock: Clock,
    tools: Container,
    run_sweep: Callable[[], Counter[str]],
) -> None:
    kept, gone = upload(client, acme.key), upload(client, acme.key, encoded(seed=2))
    abandoned = presign(client, acme.key, len(encoded())).json
    put(client, abandoned, encoded())
    assert len(stored_files(tools, acme)) == 5
    client.delete(f"/api/v1/assets/{gone['id']}", headers=bearer(acme.key))
    clock.advance(hours=2)
    run_sweep()
    assert len(stored_files(tools, acme)) == 4
    clock.advance(days=30)
    run_sweep()
    assert stored_files(tools, acme) == {
        kept["storageKey"],
        next(name for name in stored_files(tools, acme) if name.startswith("thumbnails/")),
    }
    assert (
        get(
            client,
            client.get(f"/api/v1/assets/{kept['id']}", headers=bearer(acme.key)).json[
                "thumbnailUrl"
            ],
        ).status_code
        == 200
    )
    assert finalize(client, acme.key, abandoned["storageKey"], len(encoded())).status_code == 404


def test_the_signed_url_can_t_change_what_was_finalized(
    client: ApiClient,
    acme: Account,
    clock: Clock,
    run_sweep: Callable[[], Counter[str]],
    tools: Container,
) -> None:
    first = encoded()
    other = HTML.ljust(len(first))[: len(first)]
    ticket = presign(client, acme.key, len(first)).json
    put(client, ticket, first)
    asset = finalize(client, acme.key, ticket["storageKey"], len(first)).json
    assert put(client, ticket, other).status_code == 200
    with tools.storage.open(asset["storageKey"]) as file:
        assert file.read() == first
    assert [name for name in stored_files(tools, acme) if name.startswith("incoming/")]
    clock.advance(hours=2)
    run_sweep()
    assert not [name for name in stored_files(tools, acme) if name.startswith("incoming/")]


@on_both_databases
def test_parallel_finalizes_make_one_asset(app: Flask, client: ApiClient, acme: Account) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)

    def attempt(_: int) -> Answer:
        return finalize(client_of(app), acme.key, ticket["storageKey"], len(data))

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(attempt, range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    listed = client.get("/api/v1/assets", headers=bearer(acme.key)).json
    assert (listed["total"], len(listed["items"])) == (1, 1)
    assert space_used(app, acme) == len(data)


def test_a_finalize_that_died_half_way_can_be_repeated(
    client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_register", lambda *_: 1 / 0)
        assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 500
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 201


@on_both_databases
def test_changes_hold_and_what_is_left_out_stays(client: ApiClient, acme: Account) -> None:
    asset = upload(client, acme.key, tags=["old"], locationX=1.5)
    day = asset["uploadedAt"][:10]
    collection = client.post(
        "/api/v1/collections", headers=bearer(acme.key), json={"name": "Spring"}
    ).json
    url = f"/api/v1/assets/{asset['id']}"
    changed = client.patch(url, headers=bearer(acme.key), json={"tags": ["marketing", "q2", "q2"]})
    assert changed.json == {**asset, "tags": ["marketing", "q2"]}
    fields = {
        "name": "Ünïcode 🌷.jpg",
        "collectionId": collection["id"],
        "locationX": -3,
        "locationY": 7.25,
    }
    changed = client.patch(url, headers=bearer(acme.key), json=fields)
    assert changed.json == {**asset, "tags": ["marketing", "q2"], **fields}
    for query, found in (
        ("tags=marketing,q2", True), ("tags=old", False), ("q=ünïcode", True), ("q=HERO", True),
        ("q=mark", True),
        (f"collectionId={collection['id']}", True), ("q=nothing", False),
        ("tags=marketing,old", False), ('tags="marketing"&tags=q2', True), ("kind=jpg", True),
        ("kind=png,webp", False), ("minSize=1&maxSize=1000000", True), ("minSize=1000000", False),
        (f"uploadedAfter={day}&uploadedBefore={day}", True), ("uploadedBefore=2020-01-01", False),
        ("published=false", True), ("published=true", False),
    ):  # fmt: skip
        listed = client.get(f"/api/v1/assets?{query}", headers=bearer(acme.key)).json
        assert (listed["total"], len(listed["items"])) == (int(found), int(found)), query
    assert (
        client.patch(url, headers=bearer(acme.key), json={"collectionId": None}).json[
            "collectionId"
        ]
        is None
    )


def test_names_and_tags_are_composed_and_found_as_people_type_them(
    client: ApiClient, acme: Account
) -> None:
    asset = upload(
        client, acme.key, name="Du\u0308rer, Łódź.jpg", tags=["Dog", "a, b", "dog", "DÖG"]
    )
    assert (asset["name"], asset["tags"]) == ("Dürer, Łódź.jpg", ["Dog", "a, b"])
    url = f"/api/v1/assets/{asset['id']}"
    tags = ["Cafe\u0301", "a, b", "CAFÉ"]
    changed = client.patch(url, headers=bearer(acme.key), json={"tags": tags}).json
    assert changed == {**asset, "tags": ["Café", "a, b"]}
    for query, found in (
        ("q=lodz%20DURER", 1), ("q=du%CC%88rer", 1), ("q=durer,%20lodz", 1), ("q=dog", 0),
        ("q=cafe%20lodz", 1), ("q=%25", 0), ("q=_", 0), ("tags=cafe", 1), ("tags=Dog", 0),
        ("tags=a,b", 0), ("tags=%22A,%20b%22&tags=caf%C3%A9", 1), ("kind=jpg,png&q=durer", 1),
    ):  # fmt: skip
        listed = client.get(f"/api/v1/assets?{query}", headers=bearer(acme.key)).json
        assert (listed["total"], len(listed["items"])) == (found, found), query


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"), ({"name": None}, "name"), ({"name": "a\nb"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"tags": None}, "tags"), ({"tags": [1]}, "tags"),
        ({"collectionId": "col_none"}, "collectionId"),
        ({"locationX": None}, "locationX"), ({"locationY": "far"}, "locationY"),
        ({"size": 5}, "size"),
        ({"locationX": 1e300}, "locationX"),
    ],
)  # fmt: skip
def test_bad_changes_are_refused_and_change_nothing(
    client: ApiClient, acme: Account, changes: dict[str, Any], field: str
) -> None:
    asset = upload(client, acme.key)
    url = f"/api/v1/assets/{asset['id']}"
    refused = client.patch(url, headers=bearer(acme.key), json={"locationX": 5, **changes})
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(field)
    assert client.get(url, headers=bearer(acme.key)).json == asset


def test_a_deleted_asset_is_gone_at_once(client: ApiClient, acme: Account) -> None:
    asset = upload(client, acme.key, tags=["x"])
    url = f"/api/v1/assets/{asset['id']}"
    assert client.delete(url, headers=bearer(acme.key)).status_code == 204
    for method in ("GET", "DELETE"):
        assert client.open(url, method=method, headers=bearer(acme.key)).status_code == 404
    for query in ("", "?tags=x", "?q=hero", "?type=IMAGE"):
        assert client.get(f"/api/v1/assets{query}", headers=bearer(acme.key)).json["total"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "pageSize=0", "pageSize=x", "page=0", "page=-1", "page=1000000000", "page=1e9",
        "cursor=broken",
        "sort=colour", "type=AUDIO", f"q={'x' * 201}", "q=%00", "collectionId=%00",
    ],
)  # fmt: skip
def test_bad_queries_are_refused(client: ApiClient, acme: Account, query: str) -> None:
    refused = client.get(f"/api/v1/assets?{query}", headers=bearer(acme.key))
    assert refused.status_code == 400
    assert refused.json["errors"]


def test_pages_and_cursors_give_each_asset_once(client: ApiClient, acme: Account) -> None:
    made = [
        upload(client, acme.key, encoded(width=40 + n, height=40), f"n{n}.jpg")["id"]
        for n in range(5)
    ]
    by_page = [
        item["id"]
        for page in (1, 2, 3)
        for item in client.get(
            f"/api/v1/assets?pageSize=2&page={page}", headers=bearer(acme.key)
        ).json["items"]
    ]
    assert by_page == made[::-1]
    by_cursor, cursor = [], ""
    while True:
        listed = client.get(f"/api/v1/assets?pageSize=2{cursor}", headers=bearer(acme.key)).json
        by_cursor += [item["id"] for item in listed["items"]]
        if not listed["nextCursor"]:
            break
        cursor = f"&cursor={listed['nextCursor']}"
    assert by_cursor == by_page
    assert client.get("/api/v1/assets?page=9", headers=bearer(acme.key)).json["items"] == []


def test_the_partitions_don_t_see_each_other(client: ApiClient, acme: Account) -> None:
    live, test = upload(client, acme.key), upload(client, acme.test_key)
    for key, own, other in ((acme.key, live, test), (acme.test_key, test, live)):
        assert client.get(f"/api/v1/assets/{own['id']}", headers=bearer(key)).status_code == 200
        assert client.get(f"/api/v1/assets/{other['id']}", headers=bearer(key)).status_code == 404
        listed = client.get("/api/v1/assets", headers=bearer(key)).json
        assert [item["id"] for item in listed["items"]] == [own["id"]]
        assert listed["total"] == 1
