"""Collections: a tree of folders."""

import re
from concurrent.futures import ThreadPoolExecutor
from json import dumps
from typing import Any

import pytest
from flask import Flask

from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.workspace import upload

URL = "/api/v1/collections"


@pytest.fixture
def api(client: ApiClient, acme: Account) -> Ask:
    """Call the collections of acme: method, path below them, JSON body."""

    def call(method: str, path: str = "", **body: object) -> Answer:
        json = {"json": body} if method in ("POST", "PATCH") else {}
        return client.open(f"{URL}{path}", method=method, headers=bearer(acme.key), **json)

    return call


def names(answer: Answer) -> list[str]:
    return [one["name"] for one in answer.json["collections"]]


@on_both_databases
def test_making_one_twice_gives_the_same(api: Ask) -> None:
    first = api("POST", name="Campaign Q2", color="#6366f1", parentId=None)
    assert first.status_code == 201
    assert re.fullmatch(r"col_[0-9a-z]{24}", first.json["id"])
    assert {
        "name": "Campaign Q2",
        "parentId": None,
        "color": "#6366f1",
    }.items() <= first.json.items()
    second = api("POST", name="Campaign Q2", color="#000000")
    assert (second.status_code, second.json) == (200, first.json)
    assert api("GET").json == {"collections": [first.json]}


@on_both_databases
def test_without_a_parent_it_is_found_wherever_it_lies(api: Ask) -> None:
    top = api("POST", name="2024").json["id"]
    deep = api("POST", name="Raw", parentId=top)
    assert deep.status_code == 201
    found = api("POST", name="Raw")
    assert (found.status_code, found.json) == (200, deep.json)
    at_top = api("POST", name="Raw", parentId=None)
    assert (at_top.status_code, at_top.json["parentId"]) == (201, None)
    for body, expected in (({}, at_top), ({"parentId": None}, at_top), ({"parentId": top}, deep)):
        again = api("POST", name="Raw", **body)
        assert (again.status_code, again.json) == (200, expected.json)
    assert api("POST", name="raw").status_code == 201


def test_without_a_parent_another_organization_s_is_not_found(
    client: ApiClient, api: Ask, globex: Account
) -> None:
    client.post(URL, headers=bearer(globex.key), json={"name": "Raw"})
    assert api("POST", name="Raw").status_code == 201


@on_both_databases
def test_the_whole_collection_may_be_sent_back(api: Ask) -> None:
    whole = api("POST", name="Raw", color="#6366f1").json
    path = f"/{whole['id']}"
    changed = api("PATCH", path, **{**whole, "name": "Cooked"})
    assert (changed.status_code, changed.json) == (200, {**whole, "name": "Cooked"})
    for field, value in (
        ("id", "col_other"),
        ("createdAt", "2020-01-01T00:00:00.000Z"),
        ("createdAt", None),
    ):
        refused = api("PATCH", path, **{**whole, "name": "Raw", field: value})
        assert refused.status_code == 400
        assert refused.json["errors"] == [
            f"{field}: can't be changed; leave it out, or send {dumps(whole[field])}"
        ]
    assert api("GET", path).json == changed.json


@on_both_databases
def test_parallel_calls_make_one(app: Flask, acme: Account) -> None:
    def attempt(_: int) -> Answer:
        return client_of(app).post(URL, headers=bearer(acme.key), json={"name": "Same"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


def test_the_tree_is_found_by_name_and_parent(api: Ask) -> None:
    top = api("POST", name="2024").json["id"]
    api("POST", name="Raw", parentId=top)
    other = api("POST", name="2025").json["id"]
    api("POST", name="Raw", parentId=other)
    assert names(api("GET")) == ["2024", "2025", "Raw", "Raw"]
    assert names(api("GET", "?parentId=null")) == ["2024", "2025"]
    assert names(api("GET", f"?parentId={top}")) == ["Raw"]
    assert names(api("GET", "?name=Raw")) == ["Raw", "Raw"]
    assert names(api("GET", "?name=raw")) == []
    assert names(api("GET", "?parentId=col_none")) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 256}, "name"),
        ({"name": "a\u0000"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a", "color": "red"}, "color"), ({"name": "a", "color": "#12345"}, "color"),
        ({"name": "a", "parentId": "col_none"}, "parentId"), ({"name": "a", "size": 1}, "size"),
    ],
)  # fmt: skip
def test_bad_collections_are_refused(api: Ask, body: dict[str, Any], field: str) -> None:
    refused = api("POST", **body)
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(field)
    assert names(api("GET")) == []


@on_both_databases
def test_none_can_become_its_own_ancestor(api: Ask) -> None:
    a = api("POST", name="a").json["id"]
    b = api("POST", name="b", parentId=a).json["id"]
    c = api("POST", name="c", parentId=b).json["id"]
    for parent in (a, b, c):
        refused = api("PATCH", f"/{a}", parentId=parent)
        assert (refused.status_code, refused.json["errors"][0][:9]) == (400, "parentId:")
    assert api("PATCH", f"/{c}", parentId=a).json["parentId"] == a
    assert api("PATCH", f"/{b}", parentId=c).json["parentId"] == c


@on_both_databases
def test_parallel_moves_close_no_circle(app: Flask, api: Ask, acme: Account) -> None:
    ids = [api("POST", name=str(n)).json["id"] for n in range(6)]

    def move(n: int) -> int:
        body = {"parentId": ids[(n + 1) % len(ids)]}
        return (
            client_of(app).patch(f"{URL}/{ids[n]}", headers=bearer(acme.key), json=body).status_code
        )

    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(move, range(6)))
    assert set(statuses) <= {200, 400, 503}
    parents = {one["id"]: one["parentId"] for one in api("GET").json["collections"]}
    for start in ids:
        seen, at = set(), start
        while at is not None:
            assert at not in seen
            seen.add(at)
            at = parents[at]


def test_renaming_recolouring_and_siblings(api: Ask) -> None:
    a, b = api("POST", name="a").json, api("POST", name="b", color="#ffffff").json
    assert api("PATCH", f"/{b['id']}", name="a").status_code == 409
    changed = api("PATCH", f"/{b['id']}", name="c", color=None)
    assert changed.json == {**b, "name": "c", "color": None}
    assert api("GET", f"/{b['id']}").json == changed.json
    assert api("POST", name="b").status_code == 201
    assert api("PATCH", f"/{a['id']}", name="a").status_code == 200


@on_both_databases
def test_deleting_one_keeps_its_assets(client: ApiClient, api: Ask, acme: Account) -> None:
    collection = api("POST", name="Doomed").json["id"]
    asset = upload(client, acme.key, collectionId=collection)
    assert asset["collectionId"] == collection
    assert (
        client.get(f"/api/v1/assets?collectionId={collection}", headers=bearer(acme.key)).json[
            "total"
        ]
        == 1
    )
    assert api("DELETE", f"/{collection}").status_code == 204
    assert api("GET", f"/{collection}").status_code == 404
    kept = client.get(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key)).json
    assert kept == {**asset, "collectionId": None}
    assert (
        client.get(f"/api/v1/assets?collectionId={collection}", headers=bearer(acme.key)).json[
            "total"
        ]
        == 0
    )


def test_one_with_collections_in_it_is_not_deleted(api: Ask) -> None:
    top = api("POST", name="top").json["id"]
    inner = api("POST", name="inner", parentId=top).json["id"]
    refused = api("DELETE", f"/{top}")
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert api("DELETE", f"/{inner}").status_code == 204
    assert api("DELETE", f"/{top}").status_code == 204


def test_test_keys_have_collections_of_their_own(client: ApiClient, acme: Account) -> None:
    live = client.post(URL, headers=bearer(acme.key), json={"name": "Same"}).json
    test = client.post(URL, headers=bearer(acme.test_key), json={"name": "Same"})
    assert test.status_code == 201
    assert test.json["id"] != live["id"]
    assert client.get(f"{URL}/{live['id']}", headers=bearer(acme.test_key)).status_code == 404
