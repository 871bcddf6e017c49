"""What the surface for a local folder promises beyond S3."""

from datetime import datetime

import pytest
from flask import Flask

from app.adapters.storage.local import LocalStorage
from app.errors import Forbidden
from app.web import headers
from tests.client import ApiClient, client_of
from tests.clock import Clock
from tests.conftest import AppMaker
from tests.delivery.conftest import MINUTES, Store

MEGABYTE = 1024 * 1024
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def put_url(local_app: Flask, clock: Clock, key: str) -> str:
    """The path of an upload of five bytes, by the application's clock."""
    storage = local_app.extensions["lightwell"].storage
    return storage.presign_put(
        key, size=5, content_type="image/jpeg", expires_at=clock() + MINUTES, now=clock()
    ).url


@pytest.fixture
def get_url(local_app: Flask, clock: Clock, key: str) -> str:
    storage = local_app.extensions["lightwell"].storage
    storage.put(key, [b"bytes"])
    return storage.presign_get(
        key,
        filename="p.html",
        content_type="text/html",
        inline=True,
        expires_at=clock() + MINUTES,
        now=clock(),
    )


@pytest.fixture
def local_app(app: Flask, make_local: Store) -> Flask:
    return app


def test_a_refusal_says_what_to_send(client: ApiClient, put_url: str) -> None:
    wrong_type = client.put(put_url, data=b"bytes", content_type="image/png")
    assert (wrong_type.status_code, wrong_type.json["code"]) == (403, "forbidden")
    assert "Content-Type: image/jpeg" in wrong_type.json["error"]
    wrong_size = client.put(put_url, data=b"too many", headers=JPEG)
    assert wrong_size.status_code == 403
    assert "8 bytes" in wrong_size.json["error"]
    assert "for 5" in wrong_size.json["error"]
    assert client.put(put_url, data=b"bytes", content_type="IMAGE/JPEG").status_code == 200


def test_time_is_the_application_s(
    client: ApiClient, clock: Clock, put_url: str, get_url: str
) -> None:
    assert client.get(get_url).headers["Cache-Control"] in (
        "private, max-age=900",
        "private, max-age=899",
    )
    clock.advance(minutes=14)
    assert client.put(put_url, data=b"bytes", headers=JPEG).status_code == 200
    assert client.get(get_url).headers["Cache-Control"] in (
        "private, max-age=60",
        "private, max-age=59",
    )
    clock.advance(minutes=1)
    for answer in (client.put(put_url, data=b"bytes", headers=JPEG), client.get(get_url)):
        assert answer.status_code == 403
        assert "Ask for a new one" in answer.json["error"]


def test_every_other_signature_is_refused(local: LocalStorage, clock: Clock) -> None:
    """Exhaustively, because a decoder of base64 takes several last characters for the same."""
    token = local.presign_get(
        "key",
        filename="a",
        content_type="b",
        inline=True,
        expires_at=clock() + MINUTES,
        now=clock(),
    ).removeprefix("/storage/")
    local.read_download_token(token, clock())
    accepted = []
    for position in range(len(token)):
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.":
            altered = token[:position] + character + token[position + 1 :]
            if altered != token and is_accepted(local, altered, clock()):
                accepted.append(altered)
    for altered in (
        token + "=",
        token + "A",
        token[:-1],
        "",
        ".",
        token.replace(".", ""),
        f"{token}.{token}",
        "é",
    ):
        if is_accepted(local, altered, clock()):
            accepted.append(altered)
    assert not accepted


def is_accepted(storage: LocalStorage, token: str, now: datetime) -> bool:
    try:
        storage.read_download_token(token, now)
    except Forbidden:
        return False
    return True


def test_what_it_sends_runs_no_script_and_is_not_guessed_at(
    client: ApiClient, get_url: str
) -> None:
    answer = client.get(get_url)
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_head_tells_what_get_would_send(client: ApiClient, get_url: str) -> None:
    got, told = client.get(get_url), client.head(get_url)
    assert (told.status_code, told.data) == (200, b"")
    for name in (
        "Content-Length",
        "Content-Type",
        "Content-Disposition",
        "ETag",
        "Last-Modified",
        "Accept-Ranges",
    ):
        assert told.headers[name] == got.headers[name]


def test_a_deleted_file_is_said_to_be_deleted(
    client: ApiClient, local: LocalStorage, key: str, get_url: str
) -> None:
    local.delete([key])
    answer = client.get(get_url)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_range_beyond_the_end_is_refused_with_our_body(client: ApiClient, get_url: str) -> None:
    answer = client.get(get_url, headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */5"


def test_browsers_of_other_origins_may_put_and_get(
    client: ApiClient, put_url: str, get_url: str
) -> None:
    for url, method in ((put_url, "PUT"), (get_url, "GET")):
        allowed = client.options(
            url,
            headers={
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "content-type, range",
            },
        )
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == "*"
        assert method in allowed.headers["Access-Control-Allow-Methods"]
        assert {"content-type", "range"} <= set(
            allowed.headers["Access-Control-Allow-Headers"].split(", ")
        )
    answer = client.put(put_url, data=b"bytes", headers={**JPEG, "Origin": "https://shop.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    refused = client.get(put_url, headers={"Origin": "https://shop.example"})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (403, "*")


def test_signed_urls_are_not_rate_limited(make_app: AppMaker) -> None:
    client = client_of(make_app(ratelimit_anonymous="2/minute"))
    answers = [client.get("/storage/nonsense") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {403}
    assert "RateLimit" not in answers[0].headers


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_signed_urls_are_not_logged(
    client: ApiClient, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads one may use it."""
    lines = []
    monkeypatch.setattr(headers.log, "info", lambda *_, **fields: lines.append(fields))
    client.open("/storage/the-token", method=method)
    assert [line["path"] for line in lines] == ["/storage/…"]
