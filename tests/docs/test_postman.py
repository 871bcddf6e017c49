"""The Postman collection: complete, and each of its requests is one that the API takes."""

import json
import re
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask_openapi import OpenAPI
from jsonschema import Draft202012Validator
from werkzeug.datastructures import FileStorage

from app.docs import postman
from tests.architecture.test_routes import SAMPLES
from tests.client import ApiClient, bearer, multipart
from tests.conftest import AccountMaker
from tests.images import encoded

TAKEN = {200, 201, 202, 204}
ELSE = {
    ("POST", "/auth/register"): {201, 409},
    ("POST", "/v1/images"): {400},
    ("POST", "/v1/images/imagine"): {501},
    ("POST", "/v1/images/:id/watermark"): {400},
    ("POST", "/v1/images/:id/remove-background"): {200, 501},
    ("POST", "/api/v1/exports"): {404},
    ("POST", "/billing/checkout"): {501},
    ("POST", "/billing/portal"): {501},
}
"""Examples that name what only their reader has, such as an image, and what this server offers to
nobody."""


@pytest.fixture
def collection(client: ApiClient) -> dict[str, Any]:
    return client.get("/docs/postman.json", base_url="https://api.example.com").json


def requests(collection: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (folder["name"], item["request"])
        for folder in collection["item"]
        for item in folder["item"]
    ]


def path_of(request: dict[str, Any]) -> str:
    return "/" + "/".join(request["url"]["path"])


def test_every_operation_is_in_the_folder_of_its_tag(
    app: OpenAPI, collection: dict[str, Any]
) -> None:
    described = {
        (operation["tags"][0], method.upper(), re.sub(r"\{(\w+)\}", r":\1", path))
        for path, item in app.api_doc["paths"].items()
        for method, operation in item.items()
    }
    found = [
        (folder, request["method"], path_of(request)) for folder, request in requests(collection)
    ]
    assert set(found) == described
    assert len(found) == len(described)
    assert [folder["name"] for folder in collection["item"]] == [
        tag["name"] for tag in app.api_doc["tags"]
    ]


def test_requests_go_to_the_server_it_came_from_with_the_reader_s_key(
    collection: dict[str, Any],
) -> None:
    values = {variable["key"]: variable["value"] for variable in collection["variable"]}
    assert values == {"baseUrl": "https://api.example.com", "apiKey": ""}
    assert collection["auth"]["bearer"][0]["value"] == "{{apiKey}}"
    for _, request in requests(collection):
        assert request["url"]["raw"] == "{{baseUrl}}" + path_of(request)
        assert (request.get("auth") == {"type": "noauth"}) is (path_of(request) == "/auth/register")


def test_examples_fit_their_schemas(app: OpenAPI, collection: dict[str, Any]) -> None:
    document = app.api_doc
    seen = 0
    for _, request in requests(collection):
        if request.get("body", {}).get("mode") != "raw":
            continue
        operation = document["paths"][re.sub(r":(\w+)", r"{\1}", path_of(request))][
            request["method"].lower()
        ]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        example = json.loads(request["body"]["raw"])
        Draft202012Validator({**schema, "components": document["components"]}).validate(example)
        assert example
        seen += 1
    assert seen > 15


def picture() -> FileStorage:
    return FileStorage(BytesIO(encoded()), "a.jpg")


def as_sent(request: dict[str, Any]) -> dict[str, Any]:
    """A request as Postman sends it, with a picture for each file."""
    body = request.get("body", {"mode": None})
    match body["mode"]:
        case "raw":
            return {
                "data": body["raw"],
                "headers": {one["key"]: one["value"] for one in request["header"]},
            }
        case "formdata":
            fields = [field for field in body["formdata"] if not field["disabled"]]
            return multipart(
                [
                    (one["key"], picture() if one["type"] == "file" else one["value"])
                    for one in fields
                ]
            )
    return {}


def test_every_request_is_taken_as_it_is(
    app: Flask, client: ApiClient, make_account: AccountMaker, collection: dict[str, Any]
) -> None:
    """Each by an organization of its own, with an id of what that has."""
    for _, request in requests(collection):
        method, path = request["method"], path_of(request)
        account = make_account(requests_per_second=1000)
        endpoint, _ = app.url_map.bind("localhost").match(path, method=method)
        own = (
            path.replace(":id", SAMPLES[endpoint][1](client, account.key))
            if ":id" in path
            else path
        )
        sent = as_sent(request)
        headers = {**bearer(account.key), **sent.pop("headers", {})}
        answer = client.open(own, method=method, headers=headers, **sent)
        assert answer.status_code in ELSE.get((method, path), TAKEN), (
            f"{method} {path}: {answer.text}"
        )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "examples": ["a", "b"], "default": "c"}, "a"),
        ({"type": "string", "enum": ["x", "y"]}, "x"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "boolean"}, False),
        ({"anyOf": [{"type": "null"}, {"type": "string", "examples": ["#fff"]}]}, "#fff"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, None),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Mode"}}, ["fast"]),
        ({"$ref": "#/components/schemas/Mode", "default": "slow", "enum": None}, "slow"),
        (
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "number"}, "b": {}}},
            {"a": 1},
        ),
    ],
)
def test_examples_are_made_of_schemas(schema: dict[str, Any], value: object) -> None:
    document = {"components": {"schemas": {"Mode": {"enum": ["fast", "slow"]}}}}
    assert postman.example(document, schema) == value
