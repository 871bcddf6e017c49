"""The images dialect, as its clients use it: taking in, listing, downloading, publishing,
deleting."""

from datetime import datetime, timedelta
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.adapters.storage.local import LocalStorage
from app.extensions import transaction
from app.models import Upload
from app.services.library import storage_quota
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded, opened
from tests.images_client import ImagesClient, made
from tests.videos import film
from tests.workspace import upload

BLACK = [np.zeros((64, 64, 3), "uint8")] * 3


@pytest.fixture
def images(client: ApiClient, acme: Account) -> ImagesClient:
    return ImagesClient(client, acme.key)


@pytest.fixture
def tried(client: ApiClient, acme: Account) -> ImagesClient:
    """The same organization's test key."""
    return ImagesClient(client, acme.test_key)


@on_both_databases
def test_the_way_of_an_image(images: ImagesClient, clock: Clock) -> None:
    """Upload, resize, blur, publish, fetch without a key, unpublish: gone."""
    original = images.upload(encoded(width=640, height=480), name="hero")
    assert (original["name"], original["url"], original["format"]) == ("hero", None, "jpeg")
    assert (original["width"], original["height"], original["size"]) == (640, 480, len(encoded()))
    assert original["created_at"].endswith("Z")
    assert abs(datetime.fromisoformat(original["created_at"]) - clock()) < timedelta(minutes=1)
    small = images.make(original, "resize", width=320)
    assert (small["name"], small["width"], small["height"]) == ("hero", 320, 240)
    soft = images.make(small, "blur", sigma=4, name="soft hero")
    assert (soft["name"], soft["width"], soft["url"]) == ("soft hero", 320, None)
    published = images.post(f"/{soft['id']}/publish")
    assert published.status_code == 200
    assert published.json == {**soft, "url": published.json["url"]}
    assert images.get(soft).json == published.json
    url = published.json["url"]
    seen = images.public(url)
    assert seen.status_code == 200
    assert seen.headers["Content-Type"] == "image/jpeg"
    assert opened(seen.data).size == (320, 240)
    assert seen.data == images.download(soft).data
    assert images.post(f"/{soft['id']}/publish").json["url"] == url
    hidden = images.post(f"/{soft['id']}/unpublish")
    assert (hidden.status_code, hidden.json["url"]) == (200, None)
    assert images.public(url).status_code == 404
    assert images.post(f"/{soft['id']}/publish").json["url"] != url
    assert images.public(url).status_code == 404
    assert images.used() == 3


def test_every_image_that_is_made_counts(images: ImagesClient, tried: ImagesClient) -> None:
    answer = images.send(encoded(), name="one")
    assert answer.headers["X-Image-Processing-Usage"] == "1"
    assert "RateLimit" in answer.headers
    image = made(answer)
    assert (
        images.post(f"/{image['id']}/mirror", mode="both").headers["X-Image-Processing-Usage"]
        == "1"
    )
    assert images.used() == 2
    free = tried.send(encoded(), name="one")
    assert "X-Image-Processing-Usage" not in free.headers
    tried.make(made(free), "mirror", mode="both")
    assert images.used() == 2


def test_a_used_up_month_is_402_and_stores_nothing(
    client: ApiClient, make_account: AccountMaker
) -> None:
    images = ImagesClient(
        client, make_account(plan="FREE", monthly_images=1, requests_per_second=100).key
    )
    image = images.upload()
    for answer in (
        images.send(encoded(), name="two"),
        images.post(f"/{image['id']}/mirror", mode="both"),
    ):
        assert (answer.status_code, answer.json["code"]) == (402, "quota_exceeded")
    assert [one["id"] for one in images.request("GET", "").json["data"]] == [image["id"]]
    assert images.used() == 1


def test_full_storage_is_402_and_charges_nothing(
    client: ApiClient, make_account: AccountMaker
) -> None:
    images = ImagesClient(client, make_account(storage_mb=0).key)
    answer = images.send(encoded(), name="one")
    assert (answer.status_code, answer.json["code"]) == (402, "quota_exceeded")
    assert images.used() == 0


def test_failures_charge_and_store_nothing(images: ImagesClient) -> None:
    image = images.upload()
    for data in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", encoded()[:2000], film(BLACK)):
        refusal = images.send(data, name="x", filename="x.jpeg")
        assert refusal.status_code == 422
        assert refusal.json["errors"] == [f"image: {refusal.json['error']}"]
    assert images.post(f"/{image['id']}/crop", x1=0, y1=0, x2=641, y2=1).status_code == 400
    assert len(images.request("GET", "").json["data"]) == 1
    assert images.used() == 1


def full(*_: object) -> None:
    raise OSError("no space left on the device")


def test_a_failure_leaves_room_for_the_next(
    app: Flask,
    client: ApiClient,
    make_account: AccountMaker,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    """What was set aside comes back at once: the month's only image, and the bytes in storage."""
    account = make_account(monthly_images=1, storage_mb=1)
    images = ImagesClient(client, account.key)
    data = encoded("PNG", width=600, height=480)
    assert len(data) > 1024 * 1024 / 2
    assert images.send(data[:5000], name="x").status_code == 422
    with monkeypatch.context() as failing:
        failing.setattr(LocalStorage, "put_file", full)
        assert images.send(data, name="x").status_code == 500
    for used in (0, len(data)):
        with app.app_context(), transaction(account.org_id, "live") as session:
            assert storage_quota.used(session) == used
            assert session.scalars(select(Upload)).all() == []
        if not used:
            images.upload(data)


def test_an_image_is_an_asset_of_the_workspace_and_the_reverse(
    client: ApiClient, acme: Account, images: ImagesClient
) -> None:
    mine = images.upload(name="of the images dialect")
    theirs = upload(client, acme.key, original="of the workspace.jpg")
    clip = upload(client, acme.key, film(BLACK), "clip.mp4", "video/mp4")
    small = images.make(theirs, "resize", width=100)
    listed = client.get("/api/v1/assets", headers=bearer(acme.key)).json
    assert [item["id"] for item in listed["items"]] == [
        small["id"],
        clip["id"],
        theirs["id"],
        mine["id"],
    ]
    assert listed["items"][0]["originalName"] == "of the workspace.jpg"
    assert listed["items"][0]["thumbnailUrl"]
    assert [one["id"] for one in images.request("GET", "").json["data"]] == [
        small["id"],
        theirs["id"],
        mine["id"],
    ]
    assert images.request("GET", f"/{clip['id']}").status_code == 404
    assert images.request("DELETE", f"/{clip['id']}").status_code == 404
    assert images.request("DELETE", f"/{mine['id']}").status_code == 204
    assert client.get(f"/api/v1/assets/{mine['id']}", headers=bearer(acme.key)).status_code == 404


def test_a_deleted_image_is_gone_everywhere(images: ImagesClient) -> None:
    image = images.upload()
    url = images.post(f"/{image['id']}/publish").json["url"]
    assert images.request("DELETE", f"/{image['id']}").status_code == 204
    assert images.public(url).status_code == 404
    refusals = [images.get(image), images.download(image), images.post(f"/{image['id']}/publish")]
    refusals += [images.post(f"/{image['id']}/blur"), images.request("DELETE", f"/{image['id']}")]
    for refusal in refusals:
        assert refusal.status_code == 404
        assert refusal.json["error"] == f"Image '{image['id']}' does not exist in this workspace."
        assert refusal.json["status"] == 404
        assert refusal.json["type"].endswith("/docs/errors/not_found")


def test_test_keys_have_images_of_their_own(images: ImagesClient, tried: ImagesClient) -> None:
    live, test = images.upload(name="live"), tried.upload(name="test")
    assert [one["name"] for one in images.request("GET", "").json["data"]] == ["live"]
    assert [one["name"] for one in tried.request("GET", "").json["data"]] == ["test"]
    assert images.get(test).status_code == tried.get(live).status_code == 404
    for watermark, key in ((test, images), (live, tried)):
        own = live if key is images else test
        answer = key.post(f"/{own['id']}/watermark", watermarks=[{"id": watermark["id"]}])
        assert (answer.status_code, answer.json["errors"]) == (
            400,
            ["watermarks.0.id: is no other image of this workspace"],
        )


@pytest.mark.parametrize("prefix", ["test_", "ak_test_"])
def test_clients_that_insist_on_their_own_prefix_work(
    client: ApiClient, acme: Account, prefix: str
) -> None:
    secret = acme.test_key.removeprefix("test_")
    assert ImagesClient(client, prefix + secret).upload()
    assert ImagesClient(client, "live_" + acme.key.removeprefix("psx_")).upload()
    refusal = ImagesClient(client, "live_" + secret).request("GET", "")
    assert (refusal.status_code, refusal.json["status"]) == (401, 401)


def test_pages_lead_on_and_back(images: ImagesClient, clock: Clock) -> None:
    names = [
        images.upload(encoded(width=16, height=16), name=str(number))["name"] for number in range(7)
    ]
    page = images.request("GET", "?take=3")
    seen, links = [one["name"] for one in page.json["data"]], [page.json["links"]]
    while links[-1]["next"]:
        page = images.follow(links[-1]["next"])
        seen += [one["name"] for one in page.json["data"]]
        links.append(page.json["links"])
    assert seen == names[::-1]
    assert len(links) == 3
    assert links[0]["previous"] is None
    back = images.follow(links[-1]["previous"]).json
    assert [one["name"] for one in back["data"]] == ["3", "2", "1"]
    assert [one["name"] for one in images.follow(back["links"]["previous"]).json["data"]] == [
        "6",
        "5",
        "4",
    ]


def test_a_page_may_begin_where_an_image_was(images: ImagesClient) -> None:
    ids = [
        images.upload(encoded(width=16, height=16), name=str(number))["id"] for number in range(4)
    ]
    images.request("DELETE", f"/{ids[2]}")
    page = images.request("GET", f"?take=2&from={ids[2]}").json
    assert [one["name"] for one in page["data"]] == ["1", "0"]
    assert page["links"]["next"] is None
    assert [one["name"] for one in images.follow(page["links"]["previous"]).json["data"]] == [
        "3",
        "1",
    ]


@pytest.mark.parametrize("query", ["take=0", "take=x", "from=image_x", "from=video_" + "0" * 24])
def test_lists_refuse_what_they_do_not_know(images: ImagesClient, query: str) -> None:
    answer = images.request("GET", f"?{query}")
    assert answer.status_code == 400
    assert answer.json["errors"][0].startswith(query.partition("=")[0])


def test_a_download_is_the_file_whole_or_in_part(images: ImagesClient) -> None:
    data = encoded("PNG")
    image = images.upload(data, name="Grüße/../ä", filename="x.png")
    whole = images.download(image)
    assert whole.data == data
    assert whole.headers["Content-Type"] == "image/png"
    assert whole.headers["Content-Disposition"].startswith("attachment; filename=")
    assert (
        "/" not in whole.headers["Content-Disposition"].partition("filename=")[2].partition(";")[0]
    )
    part = images.download(image, Range="bytes=10-19")
    assert (part.status_code, part.data) == (206, data[10:20])
    same = images.download(image, **{"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    beyond = images.download(image, Range=f"bytes={len(data)}-")
    assert (beyond.status_code, beyond.json["code"]) == (416, "range_not_satisfiable")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "name: is required"),
        ({"name": ""}, "name: "),
        ({"name": "x" * 256}, "name: "),
        ({"name": "a\nb"}, "name: must not have control characters"),
    ],
)
def test_uploads_name_what_is_wrong(
    images: ImagesClient, fields: dict[str, str], problem: str
) -> None:
    answer = images.send(encoded(), **fields)
    assert answer.status_code == 400
    assert answer.json["errors"][0].startswith(problem)


def test_an_upload_is_one_file_in_its_field(images: ImagesClient) -> None:
    forms = [
        ({"name": "x"}, "image: is required"),
        ({"name": "x", "image": "text"}, "image: must be a file"),
        (
            {"name": "x", "image": (BytesIO(encoded()), "a"), "other": (BytesIO(b"b"), "b")},
            "other: unknown field",
        ),
        (
            {"name": "x", "image": [(BytesIO(encoded()), "a"), (BytesIO(encoded()), "b")]},
            "image: must be one file",
        ),
    ]
    for form, problem in forms:
        answer = images.request("POST", "/upload", data=form, content_type="multipart/form-data")
        assert (answer.status_code, answer.json["errors"]) == (400, [problem])
    assert images.request("POST", "/upload", json={"name": "x"}).status_code == 415


def test_a_file_past_the_plan_s_size_is_413(client: ApiClient, make_account: AccountMaker) -> None:
    images = ImagesClient(client, make_account(file_mb=0).key)
    assert images.send(encoded(), name="x").status_code == 413


def test_a_repeated_request_makes_one_image(images: ImagesClient) -> None:
    image = images.upload()
    first, again = (
        images.request(
            "POST", f"/{image['id']}/blur", json={"sigma": 2}, headers={"Idempotency-Key": "blur-1"}
        )
        for _ in range(2)
    )
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert images.used() == 2


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(take=st.integers(1, 5), start=st.integers(0, 6))
def test_every_image_is_on_exactly_one_page(
    images: ImagesClient, library: list[str], take: int, start: int
) -> None:
    """From anywhere, forwards to the end and back to the beginning."""
    page = images.request("GET", f"?take={take}&from={library[start]}").json
    backwards = page["links"]["previous"]
    seen = [one["id"] for one in page["data"]]
    while page["links"]["next"]:
        page = images.follow(page["links"]["next"]).json
        seen += [one["id"] for one in page["data"]]
    assert seen == library[start:]
    before: list[str] = []
    while backwards:
        page = images.follow(backwards).json
        before = [one["id"] for one in page["data"]] + before
        backwards = page["links"]["previous"]
    assert list(dict.fromkeys(before))[:start] == library[:start]


@pytest.fixture
def library(images: ImagesClient) -> list[str]:
    """The ids of seven images, newest first."""
    return [
        images.upload(encoded(width=16, height=16), name=str(number))["id"] for number in range(7)
    ][::-1]


def test_published_urls_cannot_be_guessed(images: ImagesClient) -> None:
    first, second = (images.post(f"/{images.upload()['id']}/publish").json["url"] for _ in range(2))
    tokens = [urlsplit(url).path.rpartition("/")[2].partition(".")[0] for url in (first, second)]
    assert all(len(token) == 24 for token in tokens)
    assert images.public(first.replace(tokens[0], tokens[0][::-1])).status_code == 404
