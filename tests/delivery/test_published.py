"""Published images: seen by everybody who has the address, from a folder and from S3, until they
are unpublished."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from flask import Flask
from sqlalchemy import select

from app.adapters.storage.interface import Storage
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.s3 import S3Storage
from app.extensions import transaction
from app.models import Asset, Organization, new_id
from app.services.library import assets, publishing, trash
from app.services.library.assets import Label
from app.web.files import CHUNK_BYTES
from tests.actors import TEST
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.library import make_asset
from tests.s3 import REGION, S3Server

CONTENT = bytes(range(256)) * 1024
"""More than one chunk."""


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> S3Storage:
    return S3Storage(s3_server.bucket, s3_server.endpoint, REGION)


@pytest.fixture
def storage(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Storage:
    """A folder; S3 where a test asks for it."""
    if getattr(request, "param", "local") == "local":
        return LocalStorage(tmp_path / "objects", "a secret key")
    return request.getfixturevalue("s3")


Opened = list[tuple[BinaryIO, tuple[int, ...]]]
"""Files, and from where to where each is read."""


@pytest.fixture
def opened(app: Flask, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """The application keeps its objects in ``storage``; what it opens there."""
    monkeypatch.setitem(
        app.extensions, "lightwell", replace(app.extensions["lightwell"], storage=storage)
    )
    files: Opened = []
    opening = storage.open

    def observed(*arguments: Any) -> BinaryIO:
        files.append((opening(*arguments), arguments[1:]))
        return files[-1][0]

    monkeypatch.setattr(storage, "open", observed)
    return files


@pytest.fixture
def make_image(
    app: Flask, acme: Account, clock: Clock, opened: Opened, storage: Storage
) -> Callable[..., str]:
    """Make an asset of acme's, of CONTENT unless named."""

    def make(
        content: bytes = CONTENT,
        kind: str = "jpeg",
        mime_type: str = "image/jpeg",
        name: str = "hero.png",
        mode: str = "live",
    ) -> str:
        asset = make_asset(
            new_id("image", clock()), name, kind=kind, mime_type=mime_type, size=len(content),
            content=sha256(content).hexdigest(), uploaded_at=clock(),
        )  # fmt: skip
        storage.put(asset.storage_key, [content])
        with app.app_context(), transaction(acme.org_id, mode) as session:
            assets.add(session, asset, Label(name))
        return asset.id

    return make


@pytest.fixture
def publish(app: Flask, acme: Account) -> Callable[..., str]:
    def publish(asset_id: str, mode: str = "live") -> str:
        with app.app_context(), transaction(acme.org_id, mode) as session:
            asset = assets.get(session, asset_id)
            publishing.publish(session, asset)
            return str(publishing.path_of(asset))

    return publish


@pytest.fixture
def unpublish(app: Flask, acme: Account) -> Callable[[str], None]:
    def unpublish(asset_id: str) -> None:
        with app.app_context(), transaction(acme.org_id, "live") as session:
            publishing.unpublish(session, assets.get(session, asset_id))

    return unpublish


def answer_without_id(answer: Answer) -> bytes:
    return answer.data.replace(answer.headers["X-Request-Id"].encode(), b"")


@on_both_databases
def test_the_life_of_an_address(
    app: Flask,
    client: ApiClient,
    acme: Account,
    make_image: Callable[..., str],
    publish: Callable[..., str],
    unpublish: Callable[[str], None],
    clock: Clock,
) -> None:
    image = make_image(name='Ünser "Held".jpg')
    url = publish(image)
    assert publish(image) == url
    seen = client.get(url)
    assert (seen.status_code, seen.data) == (200, CONTENT)
    assert seen.headers["Content-Type"] == "image/jpeg"
    assert seen.headers["Content-Disposition"].startswith('inline; filename="Unser _Held_.jpg"')
    assert seen.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert seen.headers["ETag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert seen.headers["Access-Control-Allow-Origin"] == "*"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert "RateLimit" not in seen.headers
    unpublish(image)
    unpublish(image)
    gone = client.get(url)
    assert (gone.status_code, gone.json["code"], gone.headers["Cache-Control"]) == (
        404,
        "not_found",
        "no-store",
    )
    never = client.get("/published/AAAAAAAAAAAAAAAAAAAAAAAA.jpg")
    assert answer_without_id(gone) == answer_without_id(never)
    again = publish(image)
    assert again != url
    assert (client.get(url).status_code, client.get(again).status_code) == (404, 200)
    with app.app_context(), transaction(acme.org_id, "live") as session:
        trash.put_one(session, TEST, image, clock())
    assert client.get(again).status_code == 404


@on_both_databases
def test_two_who_publish_at_one_time_get_one_address(
    app: Flask, acme: Account, make_image: Callable[..., str], publish: Callable[..., str]
) -> None:
    image = make_image()
    with app.app_context(), transaction(acme.org_id, "live") as session:
        late = assets.get(session, image)
        url = publish(image)
        publishing.publish(session, late)
        assert publishing.path_of(late) == url


@on_both_databases
def test_no_other_address_leads_there(
    client: ApiClient, make_image: Callable[..., str], publish: Callable[..., str]
) -> None:
    token = publish(make_image()).rpartition("/")[2].removesuffix(".jpg")
    assert len(token) == 24
    others = (".png", ".avif", ".jpg.jpg", "", ".", "%00.jpg", "x.jpg")
    for file in (*(f"{token}{other}" for other in others), "é.jpg"):
        answer = client.get(f"/published/{file}")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), file


def test_every_format_is_published_as_it_is(
    client: ApiClient, make_image: Callable[..., str], publish: Callable[..., str]
) -> None:
    for kind, mime_type, extension in (
        ("webp", "image/webp", "webp"), ("heif", "image/heic", "heic"),
        ("heif", "image/heif", "heif"),
        ("tiff", "image/tiff", "tiff"), ("raw", "image/x-canon-cr2", "cr2"),
        ("raw", "image/x-raw", "raw"),
    ):  # fmt: skip
        url = publish(make_image(kind=kind, mime_type=mime_type, mode="test"), "test")
        assert url.endswith(f".{extension}")
        seen = client.get(url)
        assert (seen.data, seen.headers["Content-Type"]) == (CONTENT, mime_type)
        assert seen.headers["Content-Disposition"] == f'inline; filename="hero.{extension}"'


@pytest.mark.parametrize("storage", ["local", "s3"], indirect=True)
class TestConditionsAndRanges:
    """As RFC 9110 has them, and without opening what is not sent."""

    @pytest.fixture
    def url(self, make_image: Callable[..., str], publish: Callable[..., str]) -> str:
        return publish(make_image())

    def test_one_range_is_sent_and_no_more_is_read(
        self, client: ApiClient, url: str, opened: Opened
    ) -> None:
        for asked, part in (
            ("0-0", slice(0, 1)), ("1-70000", slice(1, 70001)), ("262143-", slice(262143, None)),
            ("-3", slice(-3, None)), ("5-999999999", slice(5, None)), ("0-", slice(0, None)),
        ):  # fmt: skip
            answer = client.get(url, headers={"Range": f"bytes={asked}"})
            first, end, _ = part.indices(len(CONTENT))
            assert (answer.status_code, answer.data) == (206, CONTENT[part])
            assert answer.headers["Content-Length"] == str(end - first)
            assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(CONTENT)}"
            file, bounds = opened.pop()
            assert bounds == (first, end)
            assert file.closed

    def test_what_need_not_be_sent_is_not_opened(
        self, client: ApiClient, url: str, opened: Opened
    ) -> None:
        whole = client.get(url)
        assert (whole.status_code, whole.data, whole.headers["Accept-Ranges"]) == (
            200,
            CONTENT,
            "bytes",
        )
        opened.clear()
        told = client.head(url, headers={"Range": "bytes=0-1"})
        assert (told.status_code, told.data) == (200, b"")
        for name in (
            "Content-Length",
            "Content-Type",
            "ETag",
            "Last-Modified",
            "Cache-Control",
            "Accept-Ranges",
        ):
            assert told.headers[name] == whole.headers[name]
        etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
        for condition in (
            {"If-None-Match": etag}, {"If-None-Match": '"another", '
                                                       f'W/{etag}', "Range": "bytes=0-1"},
            {"If-None-Match": "*"}, {"If-Modified-Since": modified},
        ):  # fmt: skip
            same = client.get(url, headers=condition)
            assert (same.status_code, same.data) == (304, b"")
            assert (same.headers["ETag"], same.headers["Cache-Control"]) == (
                etag,
                whole.headers["Cache-Control"],
            )
        beyond = client.get(url, headers={"Range": f"bytes={len(CONTENT)}-"})
        assert (beyond.status_code, beyond.json["code"]) == (416, "range_not_satisfiable")
        assert beyond.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
        failed = client.get(url, headers={"If-Match": '"another"'})
        assert (failed.status_code, failed.json["code"]) == (412, "precondition_failed")
        assert not opened

    def test_what_may_be_ignored_is_answered_whole(self, client: ApiClient, url: str) -> None:
        etag, modified = (client.head(url).headers[name] for name in ("ETag", "Last-Modified"))
        for ignored in (
            "bytes=0-1,4-5",
            "pages=1-2",
            "bytes=x-",
            "bytes=5-2",
            "bytes=-0",
            "nonsense",
        ):
            assert client.get(url, headers={"Range": ignored}).status_code == 200
        for validator, status in (
            (etag, 206), (modified, 206), ('"another"', 200), (f"W/{etag}", 200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ):  # fmt: skip
            answer = client.get(url, headers={"Range": "bytes=1-2", "If-Range": validator})
            assert answer.status_code == status, validator
        assert (
            client.get(url, headers={"If-None-Match": '"another"', "If-Match": etag}).data
            == CONTENT
        )

    def test_an_object_that_is_lost_is_no_short_answer(
        self,
        client: ApiClient,
        url: str,
        storage: Storage,
        opened: Opened,
        app: Flask,
        acme: Account,
    ) -> None:
        with app.app_context(), transaction(acme.org_id, "live") as session:
            storage.delete(session.scalars(select(Asset.storage_key)))
        for asked in ({}, {"Range": "bytes=1-2"}):
            answer = client.get(url, headers=asked)
            assert (answer.status_code, answer.json["code"]) == (404, "not_found")

    def test_a_client_that_leaves_ends_the_transfer(
        self, client: ApiClient, url: str, opened: Opened
    ) -> None:
        answer = client.get(url, buffered=False)
        assert next(answer.iter_encoded()) == CONTENT[:CHUNK_BYTES]
        assert not opened[0][0].closed
        answer.close()
        assert opened[0][0].closed
        unread = client.get(url, buffered=False)
        unread.close()
        assert opened[1][0].closed

    def test_an_empty_object(
        self, client: ApiClient, make_image: Callable[..., str], publish: Callable[..., str]
    ) -> None:
        url = publish(make_image(b""))
        assert client.get(url).data == b""
        assert client.get(url, headers={"Range": "bytes=0-"}).status_code == 416


def test_images_of_a_suspended_organization_are_not_shown(
    app: Flask,
    client: ApiClient,
    acme: Account,
    make_image: Callable[..., str],
    publish: Callable[..., str],
    clock: Clock,
) -> None:
    url = publish(make_image())
    for suspended_at, status in ((clock(), 404), (None, 200)):
        with app.app_context(), transaction() as session:
            session.get_one(Organization, acme.org_id).suspended_at = suspended_at
        assert client.get(url).status_code == status
