"""Uploading from the library's page: what its script asks of the server, step by step."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Role
from app.services.accounts.principal import MEGABYTE
from app.services.library import part_uploads, storage_quota
from app.services.sweep import sweep
from tests.client import Answer, ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, SignIn
from tests.images import encoded
from tests.people import SAME_SITE

HEADERS = {**SAME_SITE, "Accept": "application/json"}
Step = Callable[..., Answer]
STEPS = ("", "/parts", "/arrived", "/complete", "/cancel", "/finalize")
DATA = encoded(width=64, height=48)
PART = -(-len(DATA) // 5)


class Uploader:
    """One person's script on the library's page."""

    def __init__(self, browser: ApiClient, account: Account, query: str = "") -> None:
        self.browser = browser
        self.path = f"{account.home}/library/uploads"
        self.query = query

    def ask(self, path: str, **body: Any) -> Answer:
        return self.browser.post(f"{self.path}{path}{self.query}", json=body, headers=HEADERS)

    def begin(self, size: int = len(DATA), **changes: Any) -> dict[str, Any]:
        answer = self.ask("", files=[a_file(size=size, **changes)])
        assert answer.status_code == 200, answer.text
        slot: dict[str, Any] = answer.json["uploads"][0]
        return slot

    def library(self) -> str:
        return self.browser.get(f"{self.path.removesuffix('/uploads')}{self.query}").text

    def put(self, url: str, data: bytes, **headers: str) -> int:
        return self.browser.put(urlsplit(url).path, data=data, headers=headers).status_code

    def send_part(self, key: str, number: int, data: bytes) -> int:
        signed = self.ask("/parts", storageKey=key, numbers=[number])
        assert signed.status_code == 200, signed.text
        return self.put(signed.json["parts"][0]["url"], data)

    def finalize(self, key: str, **changes: Any) -> Answer:
        return self.ask("/finalize", storageKey=key, **a_file(**changes))

    def upload(self, data: bytes = DATA, **changes: Any) -> dict[str, Any]:
        slot = self.begin(size=len(data), **changes)
        assert self.put(slot["url"], data, **slot["headers"]) == 200
        added = self.finalize(slot["storageKey"], size=len(data), **changes)
        assert added.status_code == 200, added.text
        asset: dict[str, Any] = added.json
        return asset


def a_file(**changes: Any) -> dict[str, Any]:
    return {"originalName": "hero.jpg", "mimeType": "image/jpeg", "size": len(DATA), **changes}


@pytest.fixture
def uploader(acme: Account, sign_in: SignIn) -> Uploader:
    return Uploader(sign_in(acme), acme)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files but those of a single part come in parts of ``PART`` bytes."""
    monkeypatch.setattr(part_uploads, "FROM_SIZE", PART)
    monkeypatch.setattr(part_uploads, "PART_BYTES", PART)
    monkeypatch.setattr(part_uploads, "MEGABYTE", 1)


def chunks(data: bytes) -> dict[int, bytes]:
    return {n + 1: data[start : start + PART] for n, start in enumerate(range(0, len(data), PART))}


def used(app: Flask, account: Account) -> int:
    with app.app_context(), transaction(account.org_id, "live") as session:
        return storage_quota.used(session)


def swept(app: Flask, clock: Clock) -> None:
    container = app.extensions["lightwell"]
    with app.app_context():
        sweep(container.storage, container.settings.spool_dir, clock())


def test_a_file_goes_to_storage_and_into_the_library(
    client: ApiClient, uploader: Uploader, acme: Account
) -> None:
    collection = client.post(
        "/api/v1/collections", json={"name": "Autumn"}, headers=bearer(acme.key)
    ).json["id"]
    slot = uploader.begin(originalName="../Été 1.jpg")
    assert uploader.put(slot["url"], DATA, **slot["headers"]) == 200
    key, about = slot["storageKey"], {"originalName": "Été 1.jpg", "collectionId": collection}
    added, again = (uploader.finalize(key, **about) for _ in range(2))
    assert (added.status_code, again.status_code) == (200, 200)
    assert (added.json["id"], added.json["name"]) == (again.json["id"], "Été 1.jpg")
    assert added.json["duplicateOf"] is None
    assert client.get(urlsplit(added.json["thumbnailUrl"]).path).status_code == 200
    asset = client.get(f"/api/v1/assets/{added.json['id']}", headers=bearer(acme.key)).json
    assert (asset["collectionId"], asset["originalName"]) == (collection, "Été 1.jpg")


def test_the_same_bytes_again_are_pointed_out(uploader: Uploader) -> None:
    first, second, third = (uploader.upload(originalName=f"{n}.jpg") for n in (1, 2, 3))
    assert first["duplicateOf"] is None
    for later in (second, third):
        assert later["duplicateOf"] == {"id": first["id"], "name": "1.jpg"}
    other = uploader.upload(encoded(width=32, height=32), originalName="other.jpg")
    assert other["duplicateOf"] is None


def test_a_file_is_what_its_bytes_are_whatever_its_name_says(
    uploader: Uploader, client: ApiClient, acme: Account
) -> None:
    data = encoded("PNG", width=32, height=32)
    asset = uploader.upload(data, originalName="in-fact-a-png.jpg")
    shown = client.get(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key)).json
    assert shown["mimeType"] == "image/png"


def test_each_file_of_several_is_begun_or_refused_by_itself(
    uploader: Uploader, make_account: AccountMaker, sign_in: SignIn, app: Flask
) -> None:
    account = make_account(file_mb=1, storage_mb=2)
    small = Uploader(sign_in(account), account)
    size = MEGABYTE // 2 + 1
    answer = small.ask(
        "",
        files=[
            a_file(size=size), a_file(size=MEGABYTE + 1), a_file(mimeType="text/plain"),
            *[a_file(size=size)] * 3,
        ],
    )  # fmt: skip
    refusals = [begun.get("code") for begun in answer.json["uploads"]]
    assert refusals == [None, "too_large", "bad_request", None, None, "quota_exceeded"]
    assert "larger than 1 MB" in answer.json["uploads"][1]["error"]
    assert used(app, account) == 3 * size


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_comes_in_parts_which_may_come_again(
    app: Flask, uploader: Uploader, acme: Account, clock: Clock
) -> None:
    slot = uploader.begin()
    parts, key = chunks(DATA), slot["storageKey"]
    assert (slot["partSize"], slot["count"]) == (PART, 5)
    assert uploader.ask("/arrived", storageKey=key).json == {"numbers": []}
    for number in [2, 2, *parts]:
        if number != 3:
            assert uploader.send_part(key, number, parts[number]) == 200
    missing = uploader.ask("/complete", storageKey=key)
    assert (missing.status_code, missing.json["errors"]) == (422, ["parts: 3 are missing"])
    assert uploader.finalize(key).status_code == 422
    there = [number for number in parts if number != 3]
    assert uploader.ask("/arrived", storageKey=key).json == {"numbers": there}
    clock.advance(minutes=20)
    swept(app, clock)
    assert uploader.send_part(key, 3, parts[3]) == 200
    for _ in range(2):
        assert uploader.ask("/complete", storageKey=key).status_code == 204
        assert uploader.ask("/arrived", storageKey=key).json == {"numbers": [*parts]}
    ids = {uploader.finalize(key).json["id"] for _ in range(2)}
    assert len(ids) == 1
    assert uploader.ask("/complete", storageKey=key).status_code == 204
    assert uploader.ask("/cancel", storageKey=key).status_code == 204
    assert uploader.finalize(key).json["id"] in ids
    assert used(app, acme) == len(DATA)


@pytest.mark.usefixtures("small_parts")
def test_parts_that_go_on_coming_keep_an_upload_for_a_day(
    app: Flask, uploader: Uploader, acme: Account, clock: Clock
) -> None:
    slot = uploader.begin()
    key = slot["storageKey"]
    for _ in range(24):  # a day
        assert uploader.send_part(key, 1, chunks(DATA)[1]) == 200
        swept(app, clock)
        clock.advance(minutes=60)
    late = uploader.ask("/parts", storageKey=key, numbers=[2])
    assert (late.status_code, "longer than a day" in late.json["error"]) == (422, True)
    clock.advance(minutes=16)
    swept(app, clock)
    assert used(app, acme) == 0
    assert uploader.ask("/parts", storageKey=key, numbers=[2]).status_code == 404
    assert uploader.ask("/complete", storageKey=key).status_code == 404


@pytest.mark.usefixtures("small_parts", "file_time")
def test_an_upload_that_nobody_goes_on_with_is_forgotten(
    app: Flask, uploader: Uploader, acme: Account, clock: Clock
) -> None:
    storage = app.extensions["lightwell"].storage
    key = uploader.begin()["storageKey"]
    uploader.send_part(key, 1, chunks(DATA)[1])
    folders = storage.root / ".parts"
    before = len(list(folders.iterdir()))
    clock.advance(minutes=76)
    swept(app, clock)
    assert used(app, acme) == 0
    clock.advance(minutes=46)
    swept(app, clock)
    assert len(list(folders.iterdir())) < before


@pytest.mark.usefixtures("small_parts")
def test_parts_that_are_lost_in_storage_are_said_to_be_lost(
    app: Flask, uploader: Uploader, clock: Clock
) -> None:
    key = uploader.begin()["storageKey"]
    uploader.send_part(key, 1, chunks(DATA)[1])
    app.extensions["lightwell"].storage._parts.cleanup(clock() + part_uploads.LONGEST * 1000)
    for path in ("/arrived", "/complete"):
        answer = uploader.ask(path, storageKey=key)
        assert (answer.status_code, "Begin again" in answer.json["error"]) == (422, True)


@pytest.mark.usefixtures("small_parts")
def test_parts_are_numbered_and_sized_by_the_file(uploader: Uploader) -> None:
    slot = uploader.begin()
    for numbers in ([0], [-1], [slot["count"] + 1], [], [1] * 21, ["1"]):
        answer = uploader.ask("/parts", storageKey=slot["storageKey"], numbers=numbers)
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), numbers
    signed = uploader.ask("/parts", storageKey=slot["storageKey"], numbers=[slot["count"]]).json
    assert uploader.put(signed["parts"][0]["url"], bytes(PART)) == 403
    whole = uploader.begin(size=PART)
    assert uploader.ask("/parts", storageKey=whole["storageKey"], numbers=[1]).status_code == 404


@pytest.mark.parametrize(
    ("size", "part", "count"),
    [
        (50 * MEGABYTE + 1, 16 * MEGABYTE, 4),
        (16 * MEGABYTE * 10_000, 16 * MEGABYTE, 10_000),
        (16 * MEGABYTE * 10_000 + 1, 17 * MEGABYTE, 9412),
        (2**40, 105 * MEGABYTE, 9987),
    ],
)
def test_ten_thousand_parts_are_enough_for_any_file(size: int, part: int, count: int) -> None:
    sizes = part_uploads.part_sizes(size)
    assert (part_uploads.part_size(size), len(sizes), sum(sizes)) == (part, count, size)
    assert set(sizes[:-1]) == {part}
    assert 0 < sizes[-1] <= part


@pytest.mark.usefixtures("small_parts")
def test_a_cancelled_upload_in_parts_gives_its_space_back(
    app: Flask, uploader: Uploader, acme: Account
) -> None:
    key = uploader.begin()["storageKey"]
    uploader.send_part(key, 1, chunks(DATA)[1])
    assert used(app, acme) == len(DATA)
    for _ in range(2):
        assert uploader.ask("/cancel", storageKey=key).status_code == 204
    assert used(app, acme) == 0
    assert uploader.finalize(key).status_code == 404


def test_a_cancelled_upload_keeps_its_space_as_long_as_its_url_takes_the_bytes(
    app: Flask, make_account: AccountMaker, sign_in: SignIn, clock: Clock
) -> None:
    """Else whoever begins and cancels in turns would store more than the plan allows."""
    account = make_account(storage_mb=1)
    uploader, size = Uploader(sign_in(account), account), MEGABYTE // 2 + 1
    slot = uploader.begin(size=size)
    for _ in range(2):
        assert uploader.ask("/cancel", storageKey=slot["storageKey"]).status_code == 204
    assert uploader.put(slot["url"], bytes(size), **slot["headers"]) == 200
    assert uploader.finalize(slot["storageKey"], size=size).status_code == 422
    assert uploader.begin(size=size)["code"] == "quota_exceeded"
    clock.advance(minutes=15)
    swept(app, clock)
    assert used(app, account) == 0
    assert [page for page in app.extensions["lightwell"].storage.pages("incoming/") if page] == []
    late = uploader.begin(size=size)["storageKey"]
    clock.advance(minutes=20)
    assert uploader.ask("/cancel", storageKey=late).status_code == 204
    assert used(app, account) == 0


def test_a_file_that_is_no_picture_is_refused_and_stays_refused(uploader: Uploader) -> None:
    data = b"GIF89a" + bytes(100)
    slot = uploader.begin(size=len(data))
    assert uploader.put(slot["url"], data, **slot["headers"]) == 200
    for _ in range(2):
        refused = uploader.finalize(slot["storageKey"], size=len(data))
        assert refused.status_code == 422
    assert "stays refused" in refused.json["error"]
    assert "mode" not in refused.json["error"]


def test_what_does_not_fit_is_named(uploader: Uploader) -> None:
    for body, problem in (
        ({}, "files: is required"),
        ({"files": []}, "files"),
        ({"files": [a_file()] * 21}, "files"),
        ({"files": [a_file(size=0)]}, "files.0.size"),
        ({"files": [a_file(size="5")]}, "files.0.size"),
        ({"files": [a_file(originalName="a" * 4096)]}, "files.0.originalName"),
        ({"files": [a_file(mimeType="a\0")]}, "files.0.mimeType"),
        ({"files": [a_file(more=1)]}, "files.0.more: unknown field"),
    ):
        answer = uploader.ask("", **body)
        assert answer.status_code == 400
        assert problem in answer.json["error"]
    as_form = uploader.browser.post(uploader.path, data={"a": "b"}, headers=HEADERS)
    assert as_form.status_code == 415


@pytest.mark.usefixtures("small_parts")
def test_uploads_of_others_are_not_there(
    globex: Account, acme: Account, sign_in: SignIn, uploader: Uploader
) -> None:
    """Nor are those of the same organization's test data."""
    outsider = Uploader(sign_in(globex, Role.OWNER), globex)
    in_test = Uploader(uploader.browser, acme, "?mode=test")
    key = uploader.begin()["storageKey"]
    for other in (outsider, in_test):
        for path in STEPS[1:]:
            about = {"/parts": {"numbers": [1]}, "/finalize": a_file()}.get(path, {})
            answer = other.ask(path, storageKey=key, **about)
            expected = 204 if other is in_test and path == "/cancel" else 404
            assert answer.status_code == expected, path
    assert uploader.send_part(key, 1, chunks(DATA)[1]) == 200


def test_viewers_and_plans_without_a_workspace_upload_nothing(
    acme: Account, make_account: AccountMaker, sign_in: SignIn
) -> None:
    free = make_account(plan="FREE")
    for refused, code in (
        (Uploader(sign_in(acme, Role.VIEWER), acme), "role_too_low"),
        (Uploader(sign_in(free), free), "upgrade_required"),
    ):
        for path in STEPS:
            assert refused.ask(path).json["code"] == code
        assert 'id="upload"' not in refused.library()
    in_test = Uploader(sign_in(free), free, "?mode=test")
    assert in_test.upload()["id"]
    assert 'data-query="?mode=test"' in in_test.library()
