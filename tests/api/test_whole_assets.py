"""PATCH with the whole asset, as it was got: what can be changed is, and the rest must be as it
is."""

from typing import Any

import pytest

from tests.client import Answer, ApiClient, Ask, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases
from tests.workspace import upload


@pytest.fixture
def asset(client: ApiClient, acme: Account) -> dict[str, Any]:
    return upload(client, acme.key, tags=["old"])


@pytest.fixture
def send(client: ApiClient, acme: Account, asset: dict[str, Any]) -> Ask:
    def send(**body: object) -> Answer:
        return client.patch(f"/api/v1/assets/{asset['id']}", headers=bearer(acme.key), json=body)

    return send


@on_both_databases
def test_the_whole_asset_may_be_sent_back(asset: dict[str, Any], send: Ask) -> None:
    same = send(**asset)
    assert (same.status_code, same.json) == (200, asset)
    changed = {"name": "new.jpg", "tags": ["new"], "locationX": 4.5}
    assert send(**asset | changed).json == asset | changed


def test_a_url_of_another_hour_is_no_change(
    client: ApiClient,
    acme: Account,
    clock: Clock,
    asset: dict[str, Any],
    send: Ask,
) -> None:
    clock.advance(hours=1)
    later = send(**asset).json
    assert later["thumbnailUrl"] != asset["thumbnailUrl"]
    assert {**later, "thumbnailUrl": asset["thumbnailUrl"]} == asset


def test_moments_are_compared_as_moments(asset: dict[str, Any], send: Ask) -> None:
    moment = asset["uploadedAt"].removesuffix("Z")
    for same in (f"{moment}000+00:00", f"{moment}Z"):
        assert send(uploadedAt=same).status_code == 200
    for other in (f"{moment}+01:00", "yesterday", None, 5):
        assert send(uploadedAt=other).status_code == 400


FIXED = {
    "id": "image_0mpn9k2ucq3vd1x7b8e5h4zt", "originalName": "other.jpg", "size": 5,
    "mimeType": "image/png",
    "mediaType": "VIDEO", "storageKey": "orgs/other", "width": 1, "height": None,
    "durationMs": 1000,
    "uploadedAt": "2020-01-01T00:00:00.000Z",
}  # fmt: skip


def test_every_field_can_be_changed_or_is_told_fixed(asset: dict[str, Any]) -> None:
    changeable = {"name", "tags", "collectionId", "locationX", "locationY"}
    assert asset.keys() == changeable | FIXED.keys() | {"thumbnailUrl"}


@pytest.mark.parametrize("field", FIXED)
def test_what_cannot_be_changed_is_refused_by_name_and_nothing_changes(
    client: ApiClient, acme: Account, asset: dict[str, Any], send: Ask, field: str
) -> None:
    refused = send(**{**asset, "name": "new.jpg", "tags": ["new"], field: FIXED[field]})
    assert refused.status_code == 400
    assert refused.json["errors"][0].startswith(f"{field}: can't be changed")
    for query in ("", "?tags=old", "?q=hero"):
        assert client.get(f"/api/v1/assets{query}", headers=bearer(acme.key)).json["items"] == [
            asset
        ]


def test_unknown_fields_are_refused_still(asset: dict[str, Any], send: Ask) -> None:
    refused = send(**asset, owner="me")
    assert refused.json["errors"] == ["owner: unknown field"]
