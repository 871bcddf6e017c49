"""What a request is refused with before its body is read."""

import io
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask_openapi import OpenAPI

from app.web.admission import ADMISSION_KEY, Admission
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, AppMaker

MEGABYTE = 1024 * 1024
FORM, JSON = "multipart/form-data; boundary=edge", "application/json"


class Unread(io.RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise AssertionError("the body was read")


def described(app: OpenAPI) -> Iterator[tuple[str, str, str]]:
    """Every described operation that takes a body: method, path, Content-Type."""
    for path, item in app.api_doc["paths"].items():
        for method, operation in item.items():
            if body := operation.get("requestBody"):
                (media,) = body["content"]
                yield method.upper(), re.sub(r"{\w+}", "some", path), media


def send(
    client: ApiClient,
    method: str,
    path: str,
    key: str,
    content_type: str,
    size: int,
    **environ: object,
) -> Answer:
    return client.open(
        path,
        method=method,
        headers=bearer(key),
        content_type=content_type,
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": str(size), **environ},
    )


@pytest.mark.parametrize("asked", [False, True])
def test_the_type_of_every_body_is_checked_before_it_is_read(
    app: OpenAPI, client: ApiClient, acme: Account, asked: bool
) -> None:
    """Each endpoint gets 380 MB of the type that it does not take: in one step, and where a server
    asks first."""
    operations = list(described(app))
    assert len(operations) > 20
    for method, path, media in operations:
        environ = {ADMISSION_KEY: Admission()} if asked else {}
        other = JSON if media != JSON else FORM
        answer = send(client, method, path, acme.key, other, 380 * MEGABYTE, **environ)
        assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type"), (
            method,
            path,
        )


@pytest.mark.parametrize("encoding", ["gzip", "br", "x" * 300])
def test_a_compressed_body_is_refused_by_its_encoding(
    app: OpenAPI, client: ApiClient, acme: Account, encoding: str
) -> None:
    for method, path, media in described(app):
        environ = {"HTTP_CONTENT_ENCODING": encoding}
        answer = send(client, method, path, acme.key, media, 380 * MEGABYTE, **environ)
        assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
        assert f"encoded as '{encoding[:40]}'" in answer.json["error"]
        assert answer.headers["Accept-Encoding"] == "identity"


def test_an_encoding_that_changes_nothing_is_taken(client: ApiClient, acme: Account) -> None:
    headers = bearer(acme.key) | {"Content-Encoding": "Identity"}
    answer = client.post("/api/v1/collections", json={"name": "Same"}, headers=headers)
    assert answer.status_code == 201


def test_who_asks_is_told_how_much_may_come(
    app: Flask, client: ApiClient, acme: Account, make_account: AccountMaker
) -> None:
    small = make_account("small", "FREE")
    cases = [
        ("/compress/batch", small.key, FORM, 20 * 20 * MEGABYTE + MEGABYTE),
        ("/compress/batch", acme.key, FORM, 1024 * MEGABYTE),
        ("/api/v1/collections", acme.key, JSON, 2 * MEGABYTE),
    ]
    for path, key, media, most in cases:
        asked = Admission()
        assert (
            send(client, "POST", path, key, media, most, **{ADMISSION_KEY: asked}).status_code
            == 204
        )
        assert asked.max_bytes == most
        asked = Admission()
        refused = send(client, "POST", path, key, media, most + 1, **{ADMISSION_KEY: asked})
        assert (refused.status_code, asked.max_bytes) == (413, None)


def test_asking_counts_no_request(app: Flask, make_app: AppMaker, clock: Clock) -> None:
    client = client_of(make_app(ratelimit_anonymous="2/minute"))
    for _ in range(5):
        answer = client.post(
            "/auth/register", json={}, environ_overrides={ADMISSION_KEY: Admission()}
        )
        assert answer.status_code == 204
    assert client.post("/auth/register", json={}).status_code == 400


def test_asking_claims_no_idempotency_key(client: ApiClient, acme: Account) -> None:
    headers = {**bearer(acme.key), "Idempotency-Key": "once"}
    asked = client.post(
        "/api/v1/collections",
        json={"name": "a"},
        headers=headers,
        environ_overrides={ADMISSION_KEY: Admission()},
    )
    assert asked.status_code == 204
    answer = client.post("/api/v1/collections", json={"name": "a"}, headers=headers)
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/compress/batch", "psx_nonsense", 401),
        ("POST", "/nowhere", None, 404),
        ("PUT", "/usage", None, 405),
        ("PUT", "/storage/nonsense", None, 403),
        ("POST", "/api/v1/collections", "free", 402),
    ],
)
def test_the_application_s_refusals_come_early(
    client: ApiClient,
    make_account: AccountMaker,
    method: str,
    path: str,
    key: str | None,
    status: int,
) -> None:
    key = make_account("free", "FREE").key if key == "free" else key
    media = FORM if path.startswith("/compress") else JSON
    answer = send(client, method, path, key or "", media, 1000, **{ADMISSION_KEY: Admission()})
    assert (answer.status_code, answer.json["status"]) == (status, status)
