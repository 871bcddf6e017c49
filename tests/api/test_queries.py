"""Query strings as clients write them, on every endpoint that takes one."""

from collections.abc import Callable
from typing import Any

import pytest
from flask_openapi import OpenAPI
from pydantic import BaseModel

from app.api.exports import ExportQuery
from app.api.images import ImageQuery
from app.web.asset_filters import AssetQuery
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account
from tests.workspace import upload

PATHS = {
    "/v1/images": {"take", "from"},
    "/api/v1/assets": {
        "q", "type", "collectionId", "tags", "kind", "minSize", "maxSize", "uploadedAfter",
        "uploadedBefore", "published", "sort", "pageSize", "page", "cursor",
    },
    "/api/v1/assets/{id}/export-url": {
        "format", "quality", "maxWidth", "maxHeight", "preserveAspect", "preset", "ttl",
    },
    "/api/v1/collections": {"name", "parentId"},
    "/api/v1/exports": {"pageSize"},
}  # fmt: skip
"""Every path that takes a query, with its parameters."""


def test_every_endpoint_that_takes_a_query_is_here(app: OpenAPI) -> None:
    described = {
        (method, path): {
            one["name"] for one in operation.get("parameters", []) if one["in"] == "query"
        }
        for path, item in app.api_doc["paths"].items()
        for method, operation in item.items()
    }
    assert {asked: names for asked, names in described.items() if names} == {
        ("get", path): names for path, names in PATHS.items()
    }


@pytest.fixture
def ask(client: ApiClient, acme: Account) -> Callable[[str, str], Answer]:
    """GET a path of the list: one asset is there, and one collection in another."""
    asset = upload(client, acme.key)
    parent = client.post(
        "/api/v1/collections", headers=bearer(acme.key), json={"name": "parent"}
    ).json
    child = {"name": "child", "parentId": parent["id"]}
    client.post("/api/v1/collections", headers=bearer(acme.key), json=child)
    client.get(f"/api/v1/assets/{asset['id']}/export-url", headers=bearer(acme.key))

    def get(path: str, query: str) -> Answer:
        return client.get(f"{path.format(id=asset['id'])}?{query}", headers=bearer(acme.key))

    return get


@pytest.mark.parametrize("nothing", ["", "undefined", "null"])
@pytest.mark.parametrize("path", PATHS)
def test_what_stands_for_no_value_counts_as_absent(
    ask: Callable[[str, str], Answer], path: str, nothing: str
) -> None:
    plain = ask(path, "")
    assert plain.status_code == 200
    for name in sorted(PATHS[path]):
        if (name, nothing) == ("parentId", "null"):
            continue
        answer = ask(path, f"{name}={nothing}")
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert comparable(answer.json) == comparable(plain.json), name


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """Without what another moment changes."""
    return {name: value for name, value in body.items() if name not in ("url", "expiresAt")}


def test_null_is_a_parent_of_its_own(ask: Callable[[str, str], Answer]) -> None:
    assert [
        one["name"] for one in ask("/api/v1/collections", "parentId=null").json["collections"]
    ] == ["parent"]
    assert len(ask("/api/v1/collections", "parentId=undefined").json["collections"]) == 2


@pytest.mark.parametrize("path", PATHS)
def test_unknown_parameters_are_ignored(ask: Callable[[str, str], Answer], path: str) -> None:
    assert comparable(ask(path, "_=1732641029&limit=5").json) == comparable(ask(path, "").json)


@pytest.mark.parametrize(
    ("path", "query", "size", "most"),
    [
        ("/api/v1/assets", AssetQuery, "pageSize", 200),
        ("/api/v1/exports", ExportQuery, "pageSize", 200),
        ("/v1/images", ImageQuery, "take", 100),
    ],
)
def test_a_page_is_never_larger_than_the_most(
    ask: Callable[[str, str], Answer], path: str, query: type[BaseModel], size: str, most: int
) -> None:
    for asked in (most, most + 1, 500, 10**30):
        assert ask(path, f"{size}={asked}").status_code == 200
        assert getattr(query.model_validate({size: str(asked)}), size) == most
    for number in ("0", "-1", "1.5", "many"):
        assert ask(path, f"{size}={number}").json["errors"][0].startswith(f"{size}: ")
