"""Uploads in parts over real HTTP: S3's own, and ours for a folder, which promise the same."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from app.adapters.storage.interface import Storage, StoredPart
from app.adapters.storage.local import LocalStorage
from tests.clock import real_now
from tests.delivery.conftest import MINUTES, Store

LEAST = 5 * 1024 * 1024
"""The fewest bytes that S3 takes as a part that is not the last."""
HOUR = timedelta(hours=1)
FIRST, LAST = b"1" * LEAST, b"2"


def part_url(store: Store, key: str, parts_id: str, number: int, size: int) -> str:
    now = real_now()
    presigned = store.storage.presign_part(
        key, parts_id, number, size=size, expires_at=now + MINUTES, now=now
    )
    assert presigned.headers == {}
    return urljoin(store.origin, presigned.url)


def send(store: Store, key: str, parts_id: str, number: int, data: bytes) -> requests.Response:
    url = part_url(store, key, parts_id, number, len(data))
    return requests.put(url, data=data, timeout=30)


def read(storage: Storage, key: str) -> bytes:
    with storage.open(key) as file:
        return file.read()


@pytest.fixture
def parts_id(store: Store, key: str) -> str:
    parts_id = store.storage.begin_parts(key, "image/jpeg")
    assert 0 < len(parts_id) <= 1024
    return parts_id


def reopened(storage: Storage) -> Storage:
    """The storage as another process sees it, or this one after a restart."""
    return (
        LocalStorage(storage.root, "a secret key") if isinstance(storage, LocalStorage) else storage
    )


def test_parts_become_the_object_in_their_order(store: Store, key: str, parts_id: str) -> None:
    """Sent in any order and again, to be gone on with after a restart; visible at the end only."""
    storage = store.storage
    assert storage.parts(key, parts_id) == []
    for number, data in ((2, LAST), (1, b"0" * LEAST), (1, FIRST)):
        answer = send(store, key, parts_id, number, data)
        assert (answer.status_code, answer.content) == (200, b"")
    parts = reopened(storage).parts(key, parts_id)
    assert [(part.number, part.size) for part in parts] == [(1, LEAST), (2, 1)]
    assert parts[1].etag.strip('"')
    assert parts[0].etag.strip('"') == answer.headers["ETag"].strip('"')
    assert storage.size(key) is None
    assert key not in {one.key for page in storage.pages("tests/") for one in page}
    reopened(storage).complete_parts(key, parts_id, parts)
    assert read(storage, key) == FIRST + LAST
    with pytest.raises(FileNotFoundError):
        storage.parts(key, parts_id)
    with suppress(FileNotFoundError):
        storage.complete_parts(key, parts_id, parts)
    storage.abort_parts(key, parts_id)
    assert send(store, key, parts_id, 1, LAST).status_code == 404
    assert read(storage, key) == FIRST + LAST


def test_a_part_that_changes_meanwhile_spoils_nothing(
    store: Store, key: str, parts_id: str
) -> None:
    send(store, key, parts_id, 1, b"old")
    listed = store.storage.parts(key, parts_id)
    send(store, key, parts_id, 1, b"new")
    for parts in (listed, [*store.storage.parts(key, parts_id), StoredPart(2, 1, "never-came")]):
        with pytest.raises(FileNotFoundError):
            store.storage.complete_parts(key, parts_id, parts)
        assert store.storage.size(key) is None
    store.storage.complete_parts(key, parts_id, store.storage.parts(key, parts_id))
    assert read(store.storage, key) == b"new"


def test_an_aborted_upload_takes_nothing_more(store: Store, key: str, parts_id: str) -> None:
    url = part_url(store, key, parts_id, 2, 1)
    send(store, key, parts_id, 1, b"x")
    store.storage.abort_parts(key, parts_id)
    store.storage.abort_parts(key, parts_id)
    assert requests.put(url, data=b"x", timeout=10).status_code == 404
    with pytest.raises(FileNotFoundError):
        store.storage.parts(key, parts_id)
    assert store.storage.size(key) is None


@pytest.mark.parametrize("data", [b"fo", b"four", b""])
def test_a_part_has_the_size_that_it_was_signed_for(
    store: Store, key: str, parts_id: str, data: bytes
) -> None:
    url = part_url(store, key, parts_id, 1, 3)
    assert requests.put(url, data=data, timeout=10).status_code == 403
    assert store.storage.parts(key, parts_id) == []


def test_a_url_of_a_part_is_for_nothing_else(store: Store, key: str, parts_id: str) -> None:
    url = part_url(store, key, parts_id, 1, 3)
    other = store.storage.begin_parts(f"{key}-other", "image/jpeg")
    for altered in (
        url.replace("partNumber=1", "partNumber=2").replace("/storage/parts/", "/storage/"),
        f"{url[:-1]}{'0' if url[-1] != '0' else '1'}",
        url.replace(parts_id, other) if parts_id in url else f"{url}A",
    ):
        assert requests.put(altered, data=b"abc", timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code in (403, 405)
    with pytest.raises(FileNotFoundError):
        store.storage.parts(f"{key}-other", parts_id)
    assert store.storage.parts(key, parts_id) == []
    store.storage.abort_parts(f"{key}-other", other)


def test_an_expired_url_takes_no_part(store: Store, key: str, parts_id: str) -> None:
    begun = real_now() - MINUTES - timedelta(seconds=2)
    presigned = store.storage.presign_part(
        key, parts_id, 1, size=1, expires_at=begun + MINUTES, now=begun
    )
    url = urljoin(store.origin, presigned.url)
    assert requests.put(url, data=b"x", timeout=10).status_code == 403


def test_cleanup_removes_what_got_no_part_for_long(
    store: Store, key: str, parts_id: str, tmp_path: Path
) -> None:
    storage = store.storage
    send(store, key, parts_id, 1, b"x")
    local = isinstance(storage, LocalStorage)
    present = datetime.fromtimestamp(tmp_path.stat().st_ctime, UTC) if local else real_now()
    storage.cleanup(present - HOUR)
    assert len(storage.parts(key, parts_id)) == 1
    assert storage.cleanup(present + HOUR) >= 1
    with pytest.raises(FileNotFoundError):
        storage.parts(key, parts_id)
    assert send(store, key, parts_id, 1, b"x").status_code == 404


def test_parts_of_a_folder_are_joined_in_little_memory(make_local: Store, key: str) -> None:
    storage = make_local.storage
    assert isinstance(storage, LocalStorage)
    parts_id = storage.begin_parts(key, "image/jpeg")
    for number in (1, 2, 3):
        storage.put_part(key, parts_id, number, (bytes(1024**2) for _ in range(16)))
    tracemalloc.start()
    try:
        storage.complete_parts(key, parts_id, storage.parts(key, parts_id))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert storage.size(key) == 48 * 1024**2
    assert peak < 4 * 1024**2


def test_many_who_complete_at_once_write_one_copy_at_a_time(make_local: Store, key: str) -> None:
    """Else a large file would fill the disk as often as somebody asks."""
    storage = make_local.storage
    assert isinstance(storage, LocalStorage)
    parts_id = storage.begin_parts(key, "image/jpeg")
    for number in range(1, 9):
        storage.put_part(key, parts_id, number, (bytes(1024**2) for _ in range(8)))
    parts = storage.parts(key, parts_id)
    unfinished = storage.root / ".unfinished"

    def complete(_: int) -> bool:
        try:
            storage.complete_parts(key, parts_id, parts)
        except FileNotFoundError:
            return False
        return True

    most = 0
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(complete, number) for number in range(8)]
        while not all(one.done() for one in done):
            most = max(most, len(list(unfinished.iterdir())))
    assert [one.result() for one in done].count(True) == 1
    assert most == 1
    assert storage.size(key) == 64 * 1024**2


def test_half_a_part_is_no_part(make_local: Store, key: str) -> None:
    """Nor does one come back into an upload that ended while it was sent."""
    storage = make_local.storage
    assert isinstance(storage, LocalStorage)
    parts_id = storage.begin_parts(key, "image/jpeg")

    def ending() -> list[bytes]:
        storage.abort_parts(key, parts_id)
        return [b"x"]

    def breaking() -> list[bytes]:
        assert storage.parts(key, parts_id) == []
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        storage.put_part(key, parts_id, 1, (chunk for _ in "x" for chunk in breaking()))
    assert storage.parts(key, parts_id) == []
    with pytest.raises(FileNotFoundError):
        storage.put_part(key, parts_id, 1, (chunk for _ in "x" for chunk in ending()))
    with pytest.raises(FileNotFoundError):
        storage.parts(key, parts_id)
