"""A busy server: work on images waits for a place and a turn, and only a little; everything else
goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import isfunction, unwrap
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask

from app.extensions import transaction
from app.imaging import ImagingPool, Transform, Turn
from app.imaging.pool.supervisor_thread import FileJob
from app.services.accounts import keys
from app.services.library import assets, renditions
from app.services.library.renditions import RenditionRequest, RenditionSource
from app.web import image_making
from app.web.context import Container
from tests.client import Answer, ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.images import encoded
from tests.images_client import ImagesClient
from tests.workspace import finalize, get, presign, put, upload

LIMITERS = ("image_work", "outbound_calls", "zip_streams")


@pytest.fixture
def container(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Container:
    """Nobody waits long for a place."""
    container = app.extensions["lightwell"]
    for name in LIMITERS:
        monkeypatch.setattr(getattr(container, name), "max_wait", 0.05)
    return container


@contextmanager
def crowded(container: Container, group: str, *limiters: str) -> Iterator[None]:
    """``group`` has all the places that one may have."""
    with ExitStack() as places:
        for limiter in [getattr(container, name) for name in limiters or LIMITERS]:
            for _ in range(limiter.max_per_group):
                places.enter_context(limiter.admitted(group))
        yield


def send_compress(client: ApiClient, key: str, _asset: str) -> Answer:
    return client.compress(key, encoded())


def send_upload(client: ApiClient, key: str, _asset: str) -> Answer:
    return ImagesClient(client, key).send(encoded(), name="photo")


def send_url(client: ApiClient, key: str, _asset: str) -> Answer:
    return ImagesClient(client, key).post(
        "", url="https://storage.googleapis.com/a/b.jpg", name="photo"
    )


def send_words(client: ApiClient, key: str, _asset: str) -> Answer:
    return ImagesClient(client, key).post("/imagine", prompt="a hill", name="hill")


def send_export_url(client: ApiClient, key: str, asset: str) -> Answer:
    return client.get(f"/api/v1/assets/{asset}/export-url?maxWidth=20", headers=bearer(key))


def send_export(client: ApiClient, key: str, asset: str) -> Answer:
    return client.post("/api/v1/exports", headers=bearer(key), json={"assetIds": [asset]})


def send_finalize(client: ApiClient, key: str, _asset: str) -> Answer:
    ticket, data = presign(client, key, len(encoded())).json, encoded()
    put(client, ticket, data)
    return finalize(client, key, ticket["storageKey"], len(data))


def operation(name: str, **body: object) -> Callable[[ApiClient, str, str], Answer]:
    def send(client: ApiClient, key: str, asset: str) -> Answer:
        return ImagesClient(client, key).post(f"/{asset}/{name}", **body)

    return send


REQUESTS = {
    "compress.batch": send_compress,
    "images.upload": send_upload,
    "images.create_from_url": send_url,
    "images.imagine": send_words,
    "renditions.export_url": send_export_url,
    "exports.create": send_export,
    "assets.create": send_finalize,
    "transformations.resize": operation("resize", width=8),
    "transformations.crop": operation("crop", x1=0, y1=0, x2=8, y2=8),
    "transformations.rotate": operation("rotate", angle=90),
    "transformations.mirror": operation("mirror", mode="both"),
    "transformations.convert": operation("convert", format="png"),
    "transformations.blur": operation("blur"),
    "transformations.modulate": operation("modulate"),
    "transformations.watermark": operation("watermark", watermarks=[]),
    "transformations.remove_background": operation("remove-background"),
    "transformations.transform": operation("transform", operations=[{"blur": {}}]),
}
"""Every view of the API that uses a pool, and a request to it."""


def used(client: ApiClient, account: Account) -> int:
    return int(client.get("/usage", headers=bearer(account.key)).json["used"])


def never(*_: object, **__: object) -> None:
    raise AssertionError("work began without a place")


def is_overloaded(answer: Answer) -> bool:
    assert (answer.status_code, answer.json["code"]) == (503, "overloaded"), answer.text
    return int(answer.headers["Retry-After"]) >= 1


@pytest.fixture
def image(client: ApiClient, acme: Account) -> str:
    return str(upload(client, acme.key)["id"])


@pytest.mark.parametrize("endpoint", REQUESTS)
def test_work_on_images_needs_a_place(
    client: ApiClient,
    acme: Account,
    container: Container,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
) -> None:
    body = {"watermarks": [{"id": upload(client, acme.key, encoded(seed=2))["id"]}]}
    ask = operation("watermark", **body) if endpoint.endswith("watermark") else REQUESTS[endpoint]
    monkeypatch.setattr(image_making, "missing_for_background", lambda _: None)
    monkeypatch.setattr(ImagingPool, "_put", never)
    with crowded(container, acme.org_id):
        assert is_overloaded(ask(client, acme.key, image))
    assert used(client, acme) == 0


def test_every_view_that_has_work_on_images_is_tried(app: Flask) -> None:
    """Whoever of the API is given a processing context, directly or by a helper of the same module
    or of the one that makes images, is among those above."""
    assert set(REQUESTS) == {
        endpoint
        for endpoint, view in app.view_functions.items()
        if unwrap(view).__module__.startswith("app.api.") and "processing" in names_of(unwrap(view))
    }


def names_of(view: Any, depth: int = 3) -> set[str]:
    """What a function's code names, and what the functions do that it calls."""
    names = set(view.__code__.co_names)
    for name in tuple(names) if depth else ():
        helper = view.__globals__.get(name)
        near = (view.__module__, image_making.__name__)
        if isfunction(helper) and helper.__module__ in near:
            names |= names_of(helper, depth - 1)
    return names


def test_one_that_has_its_half_keeps_nobody_else_out(
    client: ApiClient, acme: Account, globex: Account, container: Container, image: str
) -> None:
    with crowded(container, acme.org_id):
        assert client.compress(globex.key, encoded()).status_code == 200
        assert send_upload(client, globex.key, image).status_code == 201
        assert send_finalize(client, globex.key, image).status_code == 201
        assert is_overloaded(client.compress(acme.key, encoded()))


def test_what_needs_no_work_needs_no_place(
    client: ApiClient, acme: Account, container: Container, image: str
) -> None:
    first = send_export_url(client, acme.key, image)
    assert not first.json["cached"]
    with crowded(container, acme.org_id):
        again = send_export_url(client, acme.key, image)
        assert again.json["cached"]
        assert get(client, again.json["url"]).status_code == 200
        assert presign(client, acme.key, 100).status_code == 200
        assert client.get("/api/v1/assets", headers=bearer(acme.key)).status_code == 200
        assert client.get("/healthz").status_code == 200
        queued = client.post(
            "/api/v1/exports", headers=bearer(acme.key), json={"assetIds": [image], "async": True}
        )
        assert queued.status_code == 202


def test_a_zip_whose_reader_is_slow_keeps_no_work_out(
    client: ApiClient, acme: Account, container: Container, image: str
) -> None:
    with crowded(container, acme.org_id, "zip_streams"):
        assert client.compress(acme.key, encoded()).status_code == 200
        assert is_overloaded(send_export(client, acme.key, image))
    with crowded(container, acme.org_id, "image_work"):
        assert send_export(client, acme.key, image).status_code == 200


def test_a_zip_has_its_place_until_it_is_sent(
    client: ApiClient, acme: Account, container: Container, image: str
) -> None:
    body = {"assetIds": [image]}
    answer = client.post("/api/v1/exports", headers=bearer(acme.key), json=body, buffered=False)
    assert container.zip_streams._inside == {acme.org_id: 1}
    answer.close()
    assert not container.zip_streams._inside


def never_begun(pool: ImagingPool, job: Any) -> Turn[Any]:
    """As if all children were at other work for long."""
    turns.append(job.outcome)
    turn: Turn[Any] = job.outcome
    return turn


turns: list[Turn[Any]] = []


@pytest.mark.parametrize(
    "endpoint", ["compress.batch", "renditions.export_url", "assets.create", "images.upload"]
)
def test_a_turn_that_does_not_come_is_503_and_free(
    client: ApiClient,
    acme: Account,
    container: Container,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
) -> None:
    turns.clear()
    with monkeypatch.context() as busy:
        busy.setattr(ImagingPool, "_put", never_begun)
        assert is_overloaded(REQUESTS[endpoint](client, acme.key, image))
    assert turns
    assert all(turn.cancelled() for turn in turns)
    assert used(client, acme) == 0
    assert REQUESTS[endpoint](client, acme.key, image).status_code < 300


def test_an_upload_whose_turn_did_not_come_is_finalized_later(
    client: ApiClient, acme: Account, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded()
    ticket = presign(client, acme.key, len(data)).json
    put(client, ticket, data)
    with monkeypatch.context() as busy:
        busy.setattr(ImagingPool, "_put", never_begun)
        assert is_overloaded(finalize(client, acme.key, ticket["storageKey"], len(data)))
    assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 201


def test_a_zip_is_patient_with_its_turns(
    client: ApiClient,
    acme: Account,
    container: Container,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its answer has begun; giving up would break it."""
    put_in, late = ImagingPool._put, []

    def later(pool: ImagingPool, job: FileJob[Any]) -> Turn[Any]:
        timer = threading.Timer(0.2, lambda: late.append(put_in(pool, job)))
        timer.start()
        return job.outcome

    monkeypatch.setattr(ImagingPool, "_put", later)
    answer = send_export(client, acme.key, image)
    assert late
    with ZipFile(BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["hero.jpg"]


@on_both_databases
def test_who_waits_for_another_s_rendering_waits_no_longer(
    app: Flask, client: ApiClient, acme: Account, container: Container, clock: Clock, image: str
) -> None:
    with app.app_context():
        who = keys.authenticate(acme.key, clock())
        with transaction(*who.partition) as session:
            original = RenditionSource.of(assets.get(session, image))
            wanted = RenditionRequest(who, original, Transform(max_width=20))
            claim = renditions._find_or_claim(session, wanted, clock())
    assert isinstance(claim, renditions.RenditionClaim)
    assert is_overloaded(send_export_url(client, acme.key, image))
    clock.advance(seconds=11)
    assert send_export_url(client, acme.key, image).status_code == 200
