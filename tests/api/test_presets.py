"""Export presets: transformations under a name."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from tests.client import Answer, ApiClient, Ask, bearer, client_of
from tests.conftest import Account
from tests.databases import on_both_databases

URL = "/api/v1/export-presets"
THUMB = {
    "name": "shopify-thumb", "format": "WEBP", "quality": 85, "maxWidth": 800, "maxHeight": 800,
    "preserveAspect": True,
}  # fmt: skip


@pytest.fixture
def save(client: ApiClient, acme: Account) -> Ask:
    return lambda **body: client.post(URL, headers=bearer(acme.key), json=body)


@on_both_databases
def test_a_preset_is_made_then_replaced(client: ApiClient, acme: Account, save: Ask) -> None:
    made = save(**THUMB)
    assert made.status_code == 201
    assert THUMB.items() <= made.json.items()
    assert set(made.json) == {*THUMB, "id", "createdAt", "updatedAt"}
    changed = save(name="shopify-thumb", format="image/png", maxWidth=64)
    assert changed.status_code == 200
    expected = {**THUMB, "format": "PNG", "quality": 80, "maxWidth": 64, "maxHeight": None}
    assert expected.items() <= changed.json.items()
    assert changed.json["id"] == made.json["id"]
    assert client.get(URL, headers=bearer(acme.key)).json == {"presets": [changed.json]}


@on_both_databases
def test_parallel_saves_make_one(app: Flask, acme: Account) -> None:
    def attempt(number: int) -> Answer:
        return client_of(app).post(
            URL, headers=bearer(acme.key), json={"name": "same", "quality": number + 1}
        )

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


@pytest.mark.parametrize("written", ["WEBP", "webp", "image/webp", "WebP"])
def test_formats_are_taken_in_any_case(save: Ask, written: str) -> None:
    assert save(name="any", format=written).json["format"] == "WEBP"


def test_without_a_format_the_asset_s_own_stays(save: Ask) -> None:
    assert save(name="plain").json["format"] is None
    assert save(name="jpg", format="jpg").json["format"] == "JPEG"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "maxWidth": 0, "maxHeight": 0}, "maxWidth"),
        ({"name": "a", "maxWidth": -1}, "maxWidth"),
        ({"name": "a", "quality": 0}, "quality"), ({"name": "a", "quality": 101}, "quality"),
        ({"name": "a", "quality": 85.5}, "quality"), ({"name": "a", "quality": "85"}, "quality"),
        ({"name": "a", "format": "TIFF"}, "format"), ({"name": "a", "format": 5}, "format"),
        ({"name": "a", "maxHeight": 100_001}, "maxHeight"),
        ({"name": "a", "preserveAspect": "no"}, "preserveAspect"),
        ({"name": ""}, "name"), ({}, "name"), ({"name": "a", "width": 5}, "width"),
    ],
)  # fmt: skip
def test_bad_presets_are_refused(
    client: ApiClient, acme: Account, save: Ask, body: dict[str, Any], field: str
) -> None:
    refused = save(**body)
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(field)
    assert client.get(URL, headers=bearer(acme.key)).json == {"presets": []}


def test_presets_belong_to_one_workspace_and_mode(
    client: ApiClient, acme: Account, globex: Account, save: Ask
) -> None:
    save(**THUMB)
    for key in (globex.key, acme.test_key):
        assert client.get(URL, headers=bearer(key)).json == {"presets": []}
