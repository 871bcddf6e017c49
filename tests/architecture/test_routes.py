"""Every route names whom it lets in, and an id of another organization is an id that does not
exist."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from app.web.requirements import Key, Member, Nothing, Scraper, Staff, User, Visitor, Workspace
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.images_client import ImagesClient
from tests.workspace import upload


def an_asset(client: ApiClient, key: str) -> str:
    return str(upload(client, key)["id"])


def a_collection(client: ApiClient, key: str) -> str:
    return str(
        client.post("/api/v1/collections", headers=bearer(key), json={"name": "theirs"}).json["id"]
    )


def an_export(client: ApiClient, key: str) -> str:
    body = {"assetIds": [an_asset(client, key)], "async": True}
    return str(client.post("/api/v1/exports", headers=bearer(key), json=body).json["id"])


def an_image(client: ApiClient, key: str) -> str:
    return str(ImagesClient(client, key).upload()["id"])


Maker = Callable[[ApiClient, str], str]
SAMPLES: dict[str, tuple[str, Maker, dict[str, Any]]] = {
    "images.show": ("GET", an_image, {}),
    "images.delete": ("DELETE", an_image, {}),
    "images.download": ("GET", an_image, {}),
    "images.publish": ("POST", an_image, {}),
    "images.unpublish": ("POST", an_image, {}),
    "transformations.resize": ("POST", an_image, {"json": {"width": 8}}),
    "transformations.crop": ("POST", an_image, {"json": {"x1": 0, "y1": 0, "x2": 8, "y2": 8}}),
    "transformations.rotate": ("POST", an_image, {"json": {"angle": 90}}),
    "transformations.mirror": ("POST", an_image, {"json": {"mode": "both"}}),
    "transformations.convert": ("POST", an_image, {"json": {"format": "png"}}),
    "transformations.blur": ("POST", an_image, {"json": {}}),
    "transformations.modulate": ("POST", an_image, {"json": {}}),
    "transformations.watermark": ("POST", an_image, {"json": {"watermarks": [{"id": "image_x"}]}}),
    "transformations.remove_background": ("POST", an_image, {"json": {}}),
    "transformations.transform": ("POST", an_image, {"json": {"operations": [{"blur": {}}]}}),
    "assets.show": ("GET", an_asset, {}),
    "assets.update": ("PATCH", an_asset, {"json": {"name": "mine"}}),
    "assets.delete": ("DELETE", an_asset, {}),
    "renditions.export_url": ("GET", an_asset, {}),
    "collections.show": ("GET", a_collection, {}),
    "collections.update": ("PATCH", a_collection, {"json": {"name": "mine"}}),
    "collections.delete": ("DELETE", a_collection, {}),
    "exports.show": ("GET", an_export, {}),
    "exports.delete": ("DELETE", an_export, {}),
}
"""Endpoint → how to call it, and how to make what its id names. Every route with an id is here that
is not open to everybody."""


REQUIREMENTS = (Key, Workspace, Visitor, User, Member, Staff, Scraper, Nothing)


def rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def requirement_of(app: Flask, rule: Rule) -> object:
    return getattr(app.view_functions[rule.endpoint], "requirement", None)


def test_every_route_names_its_requirement(app: Flask) -> None:
    for rule in rules(app):
        assert type(requirement_of(app, rule)) in REQUIREMENTS, (
            f"{rule} does not say whom it lets in"
        )


def test_reading_takes_the_scope_to_read_and_all_else_that_to_write(app: Flask) -> None:
    for rule in rules(app):
        if isinstance(requirement := requirement_of(app, rule), Key):
            scope = "read" if "GET" in (rule.methods or ()) else "write"
            assert requirement.scope == scope, f"{rule} {rule.methods}"


def test_every_route_with_an_id_has_a_sample(app: Flask) -> None:
    needing = {
        rule.endpoint
        for rule in rules(app)
        if rule.arguments and isinstance(requirement_of(app, rule), Key)
    }
    assert needing == set(SAMPLES)


@pytest.mark.parametrize("endpoint", SAMPLES)
def test_an_outsider_s_answer_is_that_of_an_id_that_never_was(
    app: Flask, client: ApiClient, acme: Account, globex: Account, endpoint: str
) -> None:
    """Another organization's id, the other mode's, and an invented one: 404, byte for byte the
    same."""
    method, make, body = SAMPLES[endpoint]
    rule = next(rule for rule in rules(app) if rule.endpoint == endpoint)

    def call(thing: str, key: str) -> tuple[int, bytes]:
        answer = client.open(
            rule.rule.replace("<id>", thing), method=method, headers=bearer(key), **body
        )
        return answer.status_code, answer.data.replace(thing.encode(), b"").replace(
            request_id(answer), b""
        )

    theirs = make(client, globex.key)
    invented = theirs[:-5] + "zzzzz"
    refusal = call(invented, acme.key)
    assert refusal[0] == 404
    assert call(theirs, acme.key) == refusal
    assert call(theirs, globex.test_key) == refusal
    assert call(theirs, globex.key)[0] != 404


def request_id(answer: Answer) -> bytes:
    return str(answer.headers["X-Request-Id"]).encode()


def calls(app: Flask, kind: type) -> list[tuple[str, str]]:
    """Every method and path with a requirement of the kind; where an id is wanted, one that nothing
    has."""
    address = app.url_map.bind("localhost")
    return [
        (method, address.build(rule.endpoint, dict.fromkeys(rule.arguments, "any"), method=method))
        for rule in rules(app)
        if isinstance(requirement_of(app, rule), kind)
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})
    ]


@pytest.mark.parametrize("credentials", [{}, bearer("nonsense"), {"x-api-key": ""}])
def test_every_route_that_needs_a_key_refuses_without_one(
    app: Flask, client: ApiClient, credentials: dict[str, str]
) -> None:
    for method, path in calls(app, Key):
        answer = client.open(path, method=method, headers=credentials)
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_reading_keys_cannot_write_and_writing_keys_cannot_read(
    app: Flask, client: ApiClient, make_account: AccountMaker, make_key: KeyMaker
) -> None:
    account = make_account(requests_per_second=10_000)
    reading, writing = make_key(account, scopes=("read",)), make_key(account, scopes=("write",))
    for method, path in calls(app, Key):
        answer = client.open(
            path, method=method, headers=bearer(writing if method == "GET" else reading)
        )
        assert answer.status_code == 403, f"{method} {path}"
        assert answer.json["code"] == "forbidden"
