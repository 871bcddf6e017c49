"""A workspace filled as a client fills it: presign, PUT, finalize."""

from typing import Any
from urllib.parse import urlsplit

from tests.client import Answer, ApiClient, bearer
from tests.images import encoded


def presign(
    client: ApiClient, key: str, size: int, name: str = "hero.jpg", mime: str = "image/jpeg"
) -> Answer:
    body = {"mode": "presign", "originalName": name, "mimeType": mime, "size": size}
    return client.post("/api/v1/assets", headers=bearer(key), json=body)


def put(client: ApiClient, ticket: dict[str, Any], data: bytes) -> Answer:
    return client.put(urlsplit(ticket["uploadUrl"]).path, data=data, headers=ticket["headers"])


def finalize(client: ApiClient, key: str, storage_key: str, size: int, **fields: Any) -> Answer:
    body = {"mode": "finalize", "originalName": "hero.jpg", "mimeType": "image/jpeg", "size": size}
    return client.post(
        "/api/v1/assets", headers=bearer(key), json={**body, "storageKey": storage_key, **fields}
    )


def upload(
    client: ApiClient,
    key: str,
    data: bytes | None = None,
    original: str = "hero.jpg",
    mime: str = "image/jpeg",
    **fields: Any,
) -> dict[str, Any]:
    """The asset of an upload that goes well."""
    data = encoded() if data is None else data
    ticket = presign(client, key, len(data), original, mime)
    assert ticket.status_code == 200, ticket.text
    stored = put(client, ticket.json, data)
    assert stored.status_code == 200, stored.text
    about = {"originalName": original, "mimeType": mime, **fields}
    answer = finalize(client, key, ticket.json["storageKey"], len(data), **about)
    assert answer.status_code == 201, answer.text
    asset: dict[str, Any] = answer.json
    return asset


def get(client: ApiClient, url: str, **options: Any) -> Answer:
    """Follow a signed URL of this server."""
    return client.get(urlsplit(url).path, **options)
