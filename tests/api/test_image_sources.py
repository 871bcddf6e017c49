"""Images of URLs and of words."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.fetching.http_client import HttpClient
from app.services.library import publishing
from tests.adapters.fetching.origin import Origin, page, running_origin
from tests.adapters.painter_server import KEY, PainterServer, running_painter, says
from tests.client import ApiClient
from tests.conftest import Account, AccountMaker, AppMaker
from tests.images import encoded
from tests.images_client import ImagesClient, made

PROMPT = {"prompt": "A lighthouse above a calm sea", "name": "lighthouse"}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with running_origin() as running:
        yield running


@pytest.fixture(scope="module")
def provider() -> Iterator[PainterServer]:
    with running_painter() as running:
        yield running


@pytest.fixture(scope="module")
def sqlite_app(make_app: AppMaker, origin: Origin, provider: PainterServer) -> Flask:
    """An application with a provider, and an origin of its own."""
    return make_app(
        fetch_test_origins=(origin.url,),
        painter_base_url=provider.base_url,
        painter_api_key=KEY,
        painter_models=("fine", "fast"),
    )


@pytest.fixture
def images(client: ApiClient, acme: Account) -> ImagesClient:
    return ImagesClient(client, acme.key)


@pytest.fixture
def tried(client: ApiClient, acme: Account) -> ImagesClient:
    return ImagesClient(client, acme.test_key)


def test_an_image_is_fetched_as_it_is(images: ImagesClient, origin: Origin) -> None:
    data = encoded("WEBP", width=120, height=80)
    origin.pages["/a/b/sun%20set.webp?x=1"] = page(data, "image/webp")
    answer = images.post("", url=f"{origin.url}/a/b/sun%20set.webp?x=1", name="sunset")
    assert answer.headers["X-Image-Processing-Usage"] == "1"
    image = made(answer)
    assert (image["name"], image["format"], image["width"], image["height"]) == (
        "sunset",
        "webp",
        120,
        80,
    )
    assert images.download(image).data == data


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"url": "https://images.example.com/x.png", "name": "x"}, 400, "url: "),
        ({"url": "http://s3.amazonaws.com/b/x.png", "name": "x"}, 400, "url: "),
        ({"url": "https://2130706433/x.png", "name": "x"}, 400, "url: "),
        ({"url": "https://x@s3.amazonaws.com/x.png", "name": "x"}, 400, "url: "),
        ({"url": "https://s3.amazonaws.com/x.png"}, 400, "name: is required"),
        ({"url": "{origin}/missing.png", "name": "x"}, 422, "url: "),
        ({"url": "{origin}/page.html", "name": "x"}, 422, "url: "),
        ({"url": "{origin}/large.png", "name": "x"}, 413, "url: "),
        ({"url": "{origin}/broken.png", "name": "x"}, 422, "url: "),
    ],
)
def test_what_cannot_be_fetched_is_refused_and_free(
    client: ApiClient,
    make_account: AccountMaker,
    origin: Origin,
    body: dict[str, str],
    status: int,
    problem: str,
) -> None:
    images = ImagesClient(client, make_account(file_mb=1).key)
    origin.pages["/page.html"] = page(b"<html>", "text/html")
    origin.pages["/large.png"] = page(b"x" * (1024 * 1024 + 1))
    origin.pages["/broken.png"] = page(b"no picture")
    answer = images.post("", **{**body, "url": body["url"].format(origin=origin.url)})
    assert answer.status_code == status, answer.text
    assert answer.json["errors"][0].startswith(problem)
    assert images.used() == 0
    assert images.request("GET", "").json["data"] == []


@pytest.fixture
def published(client: ApiClient, globex: Account) -> tuple[ImagesClient, dict[str, Any], str]:
    """An image that another organization has published, and its URL."""
    theirs = ImagesClient(client, globex.key)
    image = theirs.upload(encoded("PNG", width=48, height=32), name="logo")
    return theirs, image, theirs.post(f"/{image['id']}/publish").json["url"]


def test_what_this_server_publishes_is_read_from_its_storage(
    images: ImagesClient, published: tuple[ImagesClient, dict[str, Any], str]
) -> None:
    theirs, image, url = published
    assert url.startswith("http://localhost/published/")
    copy = made(images.post("", url=url, name="copy"))
    assert (copy["name"], copy["format"], copy["width"], copy["url"]) == ("copy", "png", 48, None)
    assert images.download(copy).data == theirs.download(image).data
    assert images.used() == 1
    for same in (
        url.replace("http:", "https:"),
        url.replace("localhost", "LocalHost:80"),
        f"{url}?v=2",
    ):
        assert made(images.post("", url=same, name="copy"))


def test_what_is_not_published_here_is_refused(
    client: ApiClient,
    images: ImagesClient,
    published: tuple[ImagesClient, dict[str, Any], str],
    make_account: AccountMaker,
) -> None:
    theirs, image, url = published
    wrong = [
        url.replace(".png", ".jpg"),
        url.rpartition(".")[0],
        url.rpartition("/")[0] + "/x.png",
        url + "/",
    ]
    for other in wrong:
        answer = images.post("", url=other, name="x")
        assert (answer.status_code, answer.json["errors"][0][:5]) == (422, "url: ")
    elsewhere = [
        url.replace("localhost", "elsewhere.example"), url.replace("localhost", "x@localhost"),
        url.replace("localhost", "localhost:81"), url.replace("http:", "ftp:"), "http://localhost/usage",
    ]  # fmt: skip
    for other in elsewhere:
        assert images.post("", url=other, name="x").status_code == 400
    small = ImagesClient(client, make_account(file_mb=0).key)
    assert small.post("", url=url, name="x").status_code == 413
    theirs.post(f"/{image['id']}/unpublish")
    answer = images.post("", url=url, name="x")
    assert (answer.status_code, answer.json["errors"]) == (
        422,
        ["url: no image is published there; it may have been unpublished"],
    )
    assert images.used() == 0


def test_a_published_image_whose_file_is_lost_is_refused_and_free(
    app: Flask, images: ImagesClient, published: tuple[ImagesClient, dict[str, Any], str]
) -> None:
    storage = app.extensions["lightwell"].storage
    with app.app_context():
        found = publishing.find_at_path(urlsplit(published[2]).path)
    assert found
    storage.delete([found.storage_key])
    assert images.post("", url=published[2], name="x").status_code == 422
    assert images.used() == 0


def test_a_host_is_allowed_by_the_organization(
    app: Flask, acme: Account, images: ImagesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is, its name is not even looked up."""
    looked_up: list[str] = []

    def look_up(host: str) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    tools = replace(
        app.extensions["lightwell"], fetcher=Fetcher(client=HttpClient(look_up=look_up))
    )
    monkeypatch.setitem(app.extensions, "lightwell", tools)
    run = app.test_cli_runner().invoke
    url = "https://pictures.example.com/x.png"
    refused = images.post("", url=url, name="x")
    assert (refused.status_code, looked_up) == (400, [])
    done = run(args=["orgs", "allow-host", acme.email, "Pictures.Example.COM"])
    assert done.output == "Images may be fetched from pictures.example.com.\n"
    assert images.post("", url=url, name="x").status_code == 400
    assert looked_up == ["pictures.example.com"]
    run(args=["orgs", "allow-host", acme.email, "pictures.example.com", "--forget"])
    assert images.post("", url=url, name="x").json["error"] == refused.json["error"]
    assert looked_up == ["pictures.example.com"]


def test_the_provider_paints_for_live_keys(images: ImagesClient, provider: PainterServer) -> None:
    painted = encoded("PNG", width=96, height=64)
    provider.answer = says({"data": [{"b64_json": b64encode(painted).decode()}]})
    image = made(images.post("/imagine", **PROMPT, negative_prompt="people", seed=7, model="fast"))
    assert (image["name"], image["format"], image["width"]) == ("lighthouse", "png", 96)
    assert images.download(image).data == painted
    body = provider.requests[-1].body
    assert (body["model"], body["prompt"], body["seed"]) == ("fast", PROMPT["prompt"], 7)
    assert images.used() == 1


def test_a_picture_may_come_by_url(
    images: ImagesClient, provider: PainterServer, origin: Origin
) -> None:
    painted = encoded("PNG", width=48, height=64)
    origin.pages["/painted.png"] = page(painted)
    provider.answer = says({"data": [{"url": f"{origin.url}/painted.png"}]})
    assert images.download(made(images.post("/imagine", **PROMPT))).data == painted


def test_a_refusal_is_told_and_free(images: ImagesClient, provider: PainterServer) -> None:
    problem = {
        "message": "Your request was rejected by the safety system.",
        "code": "content_policy_violation",
    }
    provider.answer = says({"error": problem}, 400)
    answer = images.post("/imagine", **PROMPT)
    assert answer.status_code == 422
    assert "rejected by the safety system" in answer.json["error"]
    provider.answer = says({"error": {"message": "slow down"}}, 429, retry_after="7")
    assert images.post("/imagine", **PROMPT).status_code == 503
    assert images.used() == 0


def test_test_keys_get_samples_and_no_provider_is_asked(
    tried: ImagesClient, provider: PainterServer
) -> None:
    before = len(provider.requests)
    first, again = (made(tried.post("/imagine", **PROMPT, seed=42)) for _ in range(2))
    assert (first["format"], first["width"], first["height"]) == ("jpeg", 1024, 1024)
    assert tried.download(first).data == tried.download(again).data
    assert (
        tried.download(made(tried.post("/imagine", **PROMPT, seed=42, model="sdxl"))).data
        == tried.download(first).data
    )
    other = made(tried.post("/imagine", **PROMPT, seed=43))
    assert tried.download(other).data != tried.download(first).data
    assert len(provider.requests) == before


def test_without_a_provider_live_keys_get_501(
    client: ApiClient, acme: Account, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        app.extensions, "lightwell", replace(app.extensions["lightwell"], painter=None)
    )
    answer = ImagesClient(client, acme.key).post("/imagine", **PROMPT)
    assert (answer.status_code, answer.json["code"]) == (501, "not_configured")
    assert made(ImagesClient(client, acme.test_key).post("/imagine", **PROMPT))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompt": ""}, "prompt: "),
        ({"prompt": "x" * 1001}, "prompt: "),
        ({"prompt": "a\0b"}, "prompt: must not have control characters"),
        ({"seed": 42.1}, "seed: "),
        ({"seed": -1}, "seed: "),
        ({"model": "other"}, "model: "),
        ({"name": None}, "name: "),
        ({"steps": 5}, "steps: unknown field"),
    ],
)
def test_prompts_name_what_is_wrong(
    images: ImagesClient, changes: dict[str, Any], problem: str
) -> None:
    answer = images.post("/imagine", **{**PROMPT, **changes})
    assert answer.status_code == 400
    assert answer.json["errors"][0].startswith(problem)


def test_removing_a_background_says_what_to_install(images: ImagesClient) -> None:
    answer = images.post(f"/{images.upload()['id']}/remove-background")
    assert (answer.status_code, answer.json["code"]) == (501, "not_configured")
    assert "./run models" in answer.json["error"]
    assert images.used() == 1
