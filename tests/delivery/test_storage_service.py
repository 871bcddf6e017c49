"""What the surface for a local folder promises in the whole service, behind gunicorn: to clients
that are slow, go away or send much."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from app.adapters.storage.local import UNFINISHED, LocalStorage
from app.config import kept_secret_key
from tests.conftest import Service, wait_until
from tests.delivery.conftest import Store
from tests.server.rig import spooled_by

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service")]
MEGABYTE = 1024 * 1024
JPEG = {"Content-Type": "image/jpeg"}
on_linux = pytest.mark.skipif(not psutil.LINUX, reason="looks into /proc")


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


def test_an_upload_in_chunks_is_refused(store: Store, key: str) -> None:
    answer = requests.put(store.put_url(key), data=iter([b"bytes"]), headers=JPEG, timeout=10)
    assert answer.status_code == 400
    assert "Content-Length: 5" in answer.json()["error"]
    assert store.storage.size(key) is None


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
