"""Object storage: what holds for a local folder and for S3 alike, then what is one's own."""

import hashlib
import os
import re
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.adapters.storage.interface import Storage
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.s3 import PART_BYTES, S3Storage
from app.config import ConfigurationError, Settings
from app.errors import DependencyDown
from dev.ports import free_port
from tests.clock import NOON, real_now
from tests.conftest import AppMaker
from tests.s3 import CREDENTIALS, REGION, S3Server

MEGABYTE = 1024 * 1024
HOUR = timedelta(hours=1)


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "objects", "a secret key")


@pytest.fixture
def s3(s3_server: S3Server) -> S3Storage:
    return S3Storage(s3_server.bucket, s3_server.endpoint, REGION)


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    return request.getfixturevalue(request.param)


@pytest.fixture
def present(storage: Storage, tmp_path: Path) -> datetime:
    """As the storage dates what it holds: a folder's files by the kernel, which no library can
    fake."""
    if isinstance(storage, LocalStorage):
        return datetime.fromtimestamp(tmp_path.stat().st_ctime, UTC)
    return real_now()


@pytest.fixture
def key() -> str:
    return f"tests/{uuid4()}/photo"


def read(storage: Storage, key: str) -> bytes:
    with storage.open(key) as file:
        return file.read()


def test_what_is_put_is_got_until_it_is_deleted(storage: Storage, key: str) -> None:
    storage.put(key, [b"one", b"", b"", b"", b"two"])
    assert read(storage, key) == b"onetwo"
    assert storage.size(key) == 6
    storage.put(key, [])
    assert storage.size(key) == 0
    assert read(storage, key) == b""
    storage.delete([key])
    storage.delete([key])
    assert storage.size(key) is None
    with pytest.raises(FileNotFoundError):
        storage.open(key)


def test_a_part_is_got_alone(storage: Storage, key: str) -> None:
    storage.put(key, [b"0123456789"])
    for part in ((0, 1), (3, 7), (9, 10), (0, 10), (4, None), (0, None)):
        with storage.open(key, *part) as file:
            assert file.read(2) + file.read() == b"0123456789"[slice(*part)]
        assert file.closed
    with pytest.raises(FileNotFoundError):
        storage.open(f"{key}-none", 1, 2)


def test_a_large_object_streams_through(storage: Storage, key: str, tmp_path: Path) -> None:
    """Sixty-four megabytes, in parts on S3, in the memory of a few parts."""
    sent = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for number in range(64):
            chunk = bytes([number]) * MEGABYTE
            sent.update(chunk)
            yield chunk

    storage.put("warm", [b"up"])
    tracemalloc.start()
    try:
        storage.put(key, chunks())
        storage.fetch(key, tmp_path / "copy")
        with storage.open(key) as file:
            received = hashlib.sha256()
            while chunk := file.read(MEGABYTE):
                received.update(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert storage.size(key) == 64 * MEGABYTE
    assert received.digest() == sent.digest()
    with (tmp_path / "copy").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == sent.digest()
    assert peak < 3.5 * PART_BYTES
    storage.delete([key])


@pytest.mark.parametrize("before_it_breaks", [1, 2 * PART_BYTES + 1])
def test_a_put_that_breaks_leaves_nothing_and_spoils_nothing(
    storage: Storage, key: str, present: datetime, before_it_breaks: int
) -> None:
    def breaking() -> Iterator[bytes]:
        yield bytes(before_it_breaks)
        raise OSError("the disk is full")

    storage.put(f"{key}/kept", [b"whole"])
    for name in ("kept", "fresh"):
        with pytest.raises(OSError, match="disk is full"):
            storage.put(f"{key}/{name}", breaking())
    assert read(storage, f"{key}/kept") == b"whole"
    assert storage.size(f"{key}/fresh") is None
    assert storage.cleanup(present + HOUR) == 0


def test_a_file_becomes_the_object_and_stays(
    storage: Storage, key: str, present: datetime, tmp_path: Path
) -> None:
    for content in (b"first", bytes(PART_BYTES + 1), b""):
        path = tmp_path / "finished"
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        storage.put_file(key, path, "image/webp")
        assert read(storage, key) == content
        assert path.read_bytes() == content
    storage.put_file(key, path, "image/webp")
    with pytest.raises(FileNotFoundError):
        storage.put_file(key, tmp_path / "none", "image/webp")
    assert storage.size(key) == 0
    assert storage.cleanup(present + HOUR) == 0


def test_the_object_becomes_a_new_file(storage: Storage, key: str, tmp_path: Path) -> None:
    storage.put(key, [b"bytes"])
    storage.fetch(key, tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"bytes"
    storage.put(key, [b"other"])
    assert (tmp_path / "new").read_bytes() == b"bytes"
    with pytest.raises(FileExistsError):
        storage.fetch(key, tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        storage.fetch(f"{key}-none", tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_readers_never_miss_what_is_replaced(storage: Storage, key: str) -> None:
    storage.put(f"{key}/target", [b"0" * 1000])
    done = threading.Event()
    seen = set()

    def look() -> None:
        while not done.is_set():
            seen.add(read(storage, f"{key}/target"))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(1, 10):
            storage.put(f"{key}/target", [b"%d" % number * 500] * 2)
    finally:
        done.set()
        reader.join()
    assert seen <= {b"%d" % number * 1000 for number in range(10)}


def test_many_keys_are_deleted_at_once(storage: Storage, key: str) -> None:
    names = [f"{key}/{number}" for number in range(2100)]
    there = [names[0], names[1000], names[-1]]
    for name in there:
        storage.put(name, [b"x"])
    storage.put(f"{key}/kept", [b"x"])
    storage.delete(iter(names))
    storage.delete([])
    assert [storage.size(name) for name in there] == [None] * 3
    assert storage.size(f"{key}/kept") == 1


def test_objects_are_listed_page_by_page(storage: Storage, key: str, tmp_path: Path) -> None:
    """Under a prefix, with their sizes and ages; a file that is linked to is as old as its link."""
    old = tmp_path / "old"
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    wanted = {f"{key}/{number // 10}/{number}": number for number in range(1003)}
    for name, size in wanted.items():
        storage.put(name, [bytes(size)])
    storage.put_file(f"{key}/linked", old, "image/jpeg")
    storage.put(f"{key}-beside/1", [b"x"])
    pages = list(storage.pages(f"{key}/"))
    assert all(len(page) <= 1000 for page in pages)
    assert len(pages) == 2
    found = [one for page in pages for one in page]
    assert {one.key: one.size for one in found} == {**wanted, f"{key}/linked": 3}
    assert len(found) == 1004
    began, *_, ended = sorted(one.modified_at for one in found)  # by the store's own clock
    assert ended - began < HOUR
    assert f"{key}-beside/1" in {one.key for page in storage.pages() for one in page}
    assert list(storage.pages(f"{key}/none/")) in ([], [[]])
    storage.delete([*wanted, f"{key}/linked", f"{key}-beside/1"])


def test_what_is_being_put_is_not_listed(local: LocalStorage) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        assert not list(local.pages())

    local.put("key", chunks())
    assert [one.key for page in local.pages() for one in page] == ["key"]


def test_an_upload_that_still_gets_parts_is_not_tidied(s3: S3Storage, key: str) -> None:
    """It began long ago, and its last part has come just now: not the beginning counts."""
    began = []

    def initiated(parsed: dict[str, Any], **_: object) -> None:
        for upload in parsed.get("Uploads", ()):
            upload["Initiated"] -= timedelta(days=1)
            began.append(upload)

    def chunks() -> Iterator[bytes]:
        yield bytes(2 * PART_BYTES + 1)
        assert s3.cleanup(real_now() - HOUR) == 0
        yield b"x"

    s3._client.meta.events.register("after-call.s3.ListMultipartUploads", initiated)
    s3.put(key, chunks())
    assert began
    assert s3.size(key) == 2 * PART_BYTES + 2
    s3.delete([key])


@pytest.mark.parametrize("abandoned", [True, False])
def test_tidying_ends_what_was_begun_before_and_nothing_else(
    storage: Storage, key: str, present: datetime, abandoned: bool
) -> None:
    cleaned = []

    def chunks() -> Iterator[bytes]:
        yield bytes(2 * PART_BYTES + 1)
        cleaned.append(storage.cleanup(present + (HOUR if abandoned else -HOUR)))
        yield b"x"

    if abandoned:
        with pytest.raises(FileNotFoundError):
            storage.put(key, chunks())
    else:
        storage.put(key, chunks())
    assert cleaned == [1 if abandoned else 0]
    assert storage.size(key) == (None if abandoned else 2 * PART_BYTES + 2)
    storage.delete([key])


def test_it_says_whether_it_is_usable(storage: Storage) -> None:
    storage.check()
    storage.check()


# ── a local folder ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key",
    [
        "../escape",
        "/etc/passwd",
        "a/../../escape",
        "a//b",
        "a/",
        "",
        ".",
        "./a",
        ".unfinished/a",
        ".parts/a",
    ],
)
def test_no_key_leaves_the_folder(local: LocalStorage, key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    local.put("fine", [b"x"])
    for attempt in (
        lambda: local.put(key, [b"x"]),
        lambda: local.put_file(key, tmp_path / "file", "image/jpeg"),
        lambda: local.open(key),
        lambda: local.fetch(key, tmp_path / "fetched"),
        lambda: local.size(key),
        lambda: local.delete([key]),
        lambda: local.begin_parts(key, "image/jpeg"),
    ):
        with pytest.raises(ValueError, match="may not leave"):
            attempt()


def test_a_folder_is_no_object(local: LocalStorage) -> None:
    local.put("a/b", [b"x"])
    assert local.size("a") is None
    assert local.size("a/b/c") is None


def test_files_are_linked_and_not_copied_where_that_can_be(
    local: LocalStorage, tmp_path: Path
) -> None:
    path = tmp_path / "finished"
    path.write_bytes(b"bytes")
    local.put_file("key", path, "image/jpeg")
    local.fetch("key", tmp_path / "fetched")
    assert path.samefile(local.root / "key")
    assert path.samefile(tmp_path / "fetched")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system, to which nothing can be linked."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    path = memory / f"lightwell-{uuid4()}"
    yield path
    path.unlink(missing_ok=True)


def test_files_are_copied_between_file_systems(local: LocalStorage, elsewhere: Path) -> None:
    local.put("key", [b"bytes"])
    local.fetch("key", elsewhere)
    assert elsewhere.read_bytes() == b"bytes"
    with pytest.raises(FileExistsError):
        local.fetch("key", elsewhere)
    local.put_file("back", elsewhere, "image/jpeg")
    assert read(local, "back") == b"bytes"
    with pytest.raises(FileNotFoundError):
        local.put_file("back", elsewhere.with_name("none"), "image/jpeg")


def test_check_notices_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError):
        LocalStorage(tmp_path / "file", "key").check()


# ── S3 ────────────────────────────────────────────────────────────────────────────────────────────

CALLS: list[Callable[[Storage, Path], object]] = [
    lambda storage, _path: storage.put("key", [b"x"]),
    lambda storage, _path: storage.open("key"),
    lambda storage, path: storage.fetch("key", path),
    lambda storage, _path: storage.size("key"),
    lambda storage, _path: storage.delete(["key"]),
    lambda storage, _path: storage.cleanup(NOON),
    lambda storage, _path: list(storage.pages()),
    lambda storage, _path: storage.begin_parts("key", "image/jpeg"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_refuses_is_a_503_that_says_nothing_of_the_credentials(
    sqlite_app: Flask,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Storage, Path], object],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown-there")
    with pytest.raises(DependencyDown) as refusal:
        call(S3Storage(s3_server.bucket, s3_server.endpoint, REGION), tmp_path / "file")
    assert refusal.value.status == 503
    assert "storage.down" in caplog.text
    for secret in ("unknown-there", *CREDENTIALS.values(), "Signature="):
        assert secret not in caplog.text + refusal.value.message
    assert not (tmp_path / "file").exists()


def test_an_s3_that_is_not_there_is_a_503(s3_server: S3Server) -> None:
    gone = S3Storage(s3_server.bucket, f"http://127.0.0.1:{free_port()}", REGION)
    with pytest.raises(DependencyDown):
        gone.size("key")
    with pytest.raises(OSError, match="does not answer"):
        gone.check()


def test_a_missing_bucket_is_not_usable(s3_server: S3Server) -> None:
    with pytest.raises(OSError):
        S3Storage("nobody-made-it", s3_server.endpoint, REGION).check()


def test_keys_are_deleted_a_thousand_at_a_time(s3: S3Storage, key: str) -> None:
    """S3 takes no more in one request; the test server takes any number."""
    sizes = []
    s3._client.meta.events.register(
        "provide-client-params.s3.DeleteObjects",
        lambda params, **_: sizes.append(len(params["Delete"]["Objects"])),
    )
    s3.delete(f"{key}/{number}" for number in range(2100))
    assert sizes == [1000, 1000, 100]


def test_threads_share_one_client(s3_server: S3Server) -> None:
    storage = S3Storage(s3_server.bucket, s3_server.endpoint, REGION)
    barrier = threading.Barrier(8)
    failures = []

    def work(number: int) -> None:
        barrier.wait()
        storage.put(f"threads/{number}", [b"%d" % number])
        if read(storage, f"threads/{number}") != b"%d" % number:
            failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(storage.size(f"threads/{number}") == 1 for number in range(8))


def test_the_settings_choose_the_storage(make_app: AppMaker, s3_server: S3Server) -> None:
    app = make_app(s3_bucket=s3_server.bucket, s3_endpoint_url=s3_server.endpoint + "/")
    storage = app.extensions["lightwell"].storage
    assert isinstance(storage, S3Storage)
    storage.put("configured", [b"x"])
    assert (
        s3_server.client.head_object(Bucket=s3_server.bucket, Key="configured")["ContentLength"]
        == 1
    )
    assert app.test_client().get("/storage/anything").status_code == 404


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"S3_BUCKET": "Not A Bucket"}, "S3_BUCKET: must be the name of a bucket"),
        (
            {"S3_BUCKET": "fine", "S3_ENDPOINT_URL": "ftp://x"},
            "S3_ENDPOINT_URL: must begin with https://",
        ),
        ({"S3_ENDPOINT_URL": "https://x"}, "S3_ENDPOINT_URL: needs S3_BUCKET"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    tmp_path: Path, environment: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        Settings.from_env({"APP_ENV": "development", "DATA_DIR": str(tmp_path), **environment})
