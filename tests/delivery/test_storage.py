"""What the surface for a local folder promises beyond S3, in the application and in the whole
service."""

import socket
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from flask import Flask

from app.adapters.storage.local import UNFINISHED, LocalStorage
from app.config import kept_secret_key
from app.errors import Forbidden
from app.web import headers
from tests.client import ApiClient, client_of
from tests.clock import Clock
from tests.conftest import AppMaker, Service, wait_until
from tests.delivery.conftest import MINUTES, Store
from tests.server.rig import spooled_by

MEGABYTE = 1024 * 1024
JPEG = {"Content-Type": "image/jpeg"}
in_the_service = pytest.mark.xdist_group("service")
on_linux = pytest.mark.skipif(not psutil.LINUX, reason="looks into /proc")


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


# ── the whole service, behind gunicorn ────────────────────────────────────────────────────────────


@pytest.fixture
def store(service: Service) -> Store:
    """The storage of the running service, signed for by the same secret."""
    return Store(
        LocalStorage(service.data_dir / "storage", kept_secret_key(service.data_dir)), service.url
    )


def begin(url: str, *headers: str, body: bytes = b"") -> socket.socket:
    """A connection on which a PUT has begun and does not go on."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=60)
    head = "\r\n".join(
        [f"PUT {address.path} HTTP/1.1", f"Host: {address.netloc}", *headers, "", ""]
    )
    connection.sendall(head.encode() + body)
    return connection


def unfinished(service: Service, store: Store) -> list[str]:
    """Uploads that have begun: where they are received, and where storage writes what is whole."""
    assert isinstance(store.storage, LocalStorage)
    folder = store.storage.root / UNFINISHED
    stored = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return spooled_by(web_process(service).pid, service.data_dir) + stored


@in_the_service
@on_linux
def test_half_an_upload_is_never_visible(service: Service, store: Store, key: str) -> None:
    url = store.put_url(key, size=2 * MEGABYTE)
    headers = ("Content-Type: image/jpeg", f"Content-Length: {2 * MEGABYTE}")
    for before in (None, 3):
        if before:
            store.storage.put(key, [b"old"])
        with begin(url, *headers, body=bytes(MEGABYTE)) as connection:
            wait_until(lambda: unfinished(service, store), "the upload to begin")
            assert store.storage.size(key) == before
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert store.storage.size(key) == before
        wait_until(lambda: not unfinished(service, store), "the unfinished file to go")


@in_the_service
@on_linux
@pytest.mark.parametrize("goes", ["away", "silent"])
def test_a_client_that_gives_up_leaves_nothing(
    service: Service, store: Store, key: str, goes: str
) -> None:
    headers = ("Content-Type: image/jpeg", f"Content-Length: {2 * MEGABYTE}")
    with begin(store.put_url(key, size=2 * MEGABYTE), *headers, body=bytes(MEGABYTE)) as connection:
        wait_until(lambda: unfinished(service, store), "the upload to begin")
        if goes == "silent":
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    wait_until(lambda: not unfinished(service, store), "the unfinished file to go")
    assert store.storage.size(key) is None


@in_the_service
def test_an_upload_in_chunks_is_refused(store: Store, key: str) -> None:
    answer = requests.put(store.put_url(key), data=iter([b"bytes"]), headers=JPEG, timeout=10)
    assert answer.status_code == 400
    assert "Content-Length: 5" in answer.json()["error"]
    assert store.storage.size(key) is None


@in_the_service
@pytest.mark.parametrize(
    ("content_type", "size", "status"),
    [("image/png", 10**12, 403), ("image/jpeg", 10**12, 403), ("image/jpeg", 10**6, 403)],
)
def test_a_refusal_waits_for_no_body(
    store: Store, key: str, content_type: str, size: int, status: int
) -> None:
    headers = (f"Content-Type: {content_type}", f"Content-Length: {size}")
    with begin(store.put_url(key), *headers) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)
    altered = store.put_url(key)[:-1] + "!"
    with begin(altered, *headers) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


@in_the_service
@pytest.mark.skipif(not psutil.LINUX, reason="counts what a process reads, as Linux tells it")
def test_ranges_of_a_large_file(service: Service, store: Store, key: str) -> None:
    store.storage.put(key, (bytes([number]) * MEGABYTE for number in range(32)))
    url = store.get_url(key, content_type="video/mp4")
    assert requests.get(url, timeout=60).content == b"".join(
        bytes([number]) * MEGABYTE for number in range(32)
    )
    begin_at = 30 * MEGABYTE - 1
    part = requests.get(
        url, headers={"Range": f"bytes={begin_at}-{begin_at + MEGABYTE + 1}"}, timeout=10
    )
    assert part.status_code == 206
    assert part.content == bytes([29]) + bytes([30]) * MEGABYTE + bytes([31])
    process = web_process(service)
    read_before = process.io_counters().read_chars
    assert requests.get(url, headers={"Range": "bytes=-1"}, timeout=10).content == bytes([31])
    assert process.io_counters().read_chars - read_before < MEGABYTE
    store.storage.delete([key])


@in_the_service
def test_memory_does_not_grow_with_the_file(service: Service, store: Store, key: str) -> None:
    size = 256 * MEGABYTE
    store.storage.put("warm", [b"bytes"])
    requests.get(store.get_url("warm"), timeout=10)
    process = web_process(service)
    before = process.memory_info().rss
    peak = before

    class Body:
        def __len__(self) -> int:
            return size

        def __iter__(self) -> Iterator[bytes]:
            nonlocal peak
            for _ in range(size // MEGABYTE):
                peak = max(peak, process.memory_info().rss)
                yield bytes(MEGABYTE)

    assert (
        requests.put(
            store.put_url(key, size=size), data=Body(), headers=JPEG, timeout=120
        ).status_code
        == 200
    )
    received = 0
    for ask in ({}, {"Range": "bytes=1-"}):
        with requests.get(store.get_url(key), headers=ask, stream=True, timeout=120) as answer:
            for chunk in answer.iter_content(MEGABYTE):
                received += len(chunk)
                peak = max(peak, process.memory_info().rss)
    assert received == 2 * size - 1
    assert peak - before < 24 * MEGABYTE
    store.storage.delete([key])


def web_process(service: Service) -> psutil.Process:
    """The gunicorn worker that answers, not the arbiter above it."""
    return next(
        child
        for child in psutil.Process(service.process.pid).children(recursive=True)
        if "gunicorn" in " ".join(child.cmdline())
        and "gunicorn" in " ".join(psutil.Process(child.ppid()).cmdline())
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_signed_urls_are_not_logged(
    client: ApiClient, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads one may use it."""
    lines = []
    monkeypatch.setattr(headers.log, "info", lambda *_, **fields: lines.append(fields))
    client.open("/storage/the-token", method=method)
    assert [line["path"] for line in lines] == ["/storage/…"]
