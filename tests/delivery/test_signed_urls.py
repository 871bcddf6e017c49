"""Signed URLs over real HTTP: S3's own, and ours for a local folder, which promise the same."""

import http.client
import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.storage.interface import Storage, content_disposition
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.s3 import S3Storage
from app.errors import DependencyDown
from tests.clock import real_now
from tests.delivery.conftest import MINUTES, Store
from tests.s3 import CREDENTIALS, REGION, S3Server


def read(storage: Storage, key: str) -> bytes:
    with storage.open(key) as file:
        return file.read()


@pytest.mark.parametrize(
    "name", ["a b+c&d=e?f#g", "naïve 写真 🎉.jpg", "100%25", "~'(*)!", "dot..dot", ".hidden"]
)
def test_keys_may_hold_any_character(store: Store, key: str, name: str) -> None:
    store.storage.put(f"{key}/{name}", [b"x"])
    assert store.storage.size(f"{key}/{name}") == 1
    assert requests.get(store.get_url(f"{key}/{name}"), timeout=10).content == b"x"


def test_a_signed_upload_becomes_the_object(store: Store, key: str) -> None:
    url = store.put_url(key)
    for body in (b"first", b"again"):
        answer = requests.put(url, data=body, headers={"Content-Type": "image/jpeg"}, timeout=10)
        assert (answer.status_code, answer.content) == (200, b"")
        assert read(store.storage, key) == body
        assert (
            answer.headers["ETag"] == requests.get(store.get_url(key), timeout=10).headers["ETag"]
        )


def test_a_signed_upload_may_be_empty(store: Store, key: str) -> None:
    url = store.put_url(key, size=0)
    headers = {"Content-Type": "image/jpeg", "Content-Length": "0"}
    assert requests.put(url, data=b"", headers=headers, timeout=10).status_code == 200
    assert store.storage.size(key) == 0


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"bytes", "image/png"),
        (b"bytes", "image/jpeg; charset=utf-8"),
        (b"bytes", None),
        (b"byte", "image/jpeg"),
        (b"bytes!", "image/jpeg"),
        (b"", "image/jpeg"),
    ],
)
def test_a_signed_upload_takes_that_type_and_length_only(
    store: Store, key: str, body: bytes, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert (
        requests.put(store.put_url(key), data=body, headers=headers, timeout=10).status_code == 403
    )
    assert store.storage.size(key) is None


def test_expired_urls_are_refused(store: Store, key: str) -> None:
    store.storage.put(key, [b"bytes"])
    begins = real_now() - MINUTES
    for expired, status in ((timedelta(seconds=-2), 403), (timedelta(seconds=60), 200)):
        assert requests.get(store.get_url(key, begins + expired), timeout=10).status_code == status
        answer = requests.put(
            store.put_url(key, begins=begins + expired),
            data=b"other",
            headers={"Content-Type": "image/jpeg"},
            timeout=10,
        )
        assert answer.status_code == status
        assert read(store.storage, key) == (b"bytes" if status == 403 else b"other")


def test_a_url_is_for_one_method(store: Store, key: str) -> None:
    store.storage.put(key, [b"bytes"])
    assert requests.get(store.put_url(key), timeout=10).status_code == 403
    headers = {"Content-Type": "image/jpeg"}
    assert (
        requests.put(store.get_url(key), data=b"other", headers=headers, timeout=10).status_code
        == 403
    )
    assert requests.delete(store.get_url(key), timeout=10).status_code in (403, 405)
    assert read(store.storage, key) == b"bytes"


def ask(method: str, url: str, target: str, **headers: str) -> int:
    """Send ``target`` as it is, which requests would tidy up."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request(
            method, target, body=b"other" if method == "PUT" else None, headers=headers
        )
        return connection.getresponse().status


def meaning(target: str) -> tuple[str, list[tuple[str, str]]]:
    path, _, query = target.partition("?")
    return unquote(path), sorted(parse_qsl(query, keep_blank_values=True))


def signed_positions(target: str) -> list[int]:
    """Where the signed characters are: the token of our own server; on S3 the key, and the values
    in the query.

    Not the name of the algorithm or of the signature, without which the test server, unlike S3,
    checks nothing.
    """
    path, _, query = target.partition("?")
    values = re.finditer(r"(?<!X-Amz-Algorithm)=([^&]*)", query)
    in_query = [len(path) + 1 + at for value in values for at in range(*value.span(1))]
    return [*range(path.index("/", 1) + 1, len(path)), *in_query]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_altered_url_is_refused(store: Store, key: str, method: str) -> None:
    """Any one character, to the last."""
    store.storage.put(key, [b"bytes"])
    url = store.get_url(key) if method == "GET" else store.put_url(key)
    target = url.removeprefix(store.origin)
    headers = {"Content-Type": "image/jpeg"} if method == "PUT" else {}

    def refuses(position: int, character: str) -> bool:
        altered = target[:position] + character + target[position + 1 :]
        # Where the signature is empty the test server, unlike S3, checks nothing.
        if meaning(altered) == meaning(target) or "X-Amz-Signature=&" in altered:
            return True
        return (
            ask(method, url, altered, **headers) in (400, 403)
            and read(store.storage, key) == b"bytes"
        )

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(signed_positions(target)), st.sampled_from("abcxyzABCXYZ0189-_.~=&"))
    def anywhere_refuses(position: int, character: str) -> None:
        assert refuses(position, character)

    anywhere_refuses()
    last = len(target) - 1
    assert not [
        one for one in "abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_" if not refuses(last, one)
    ]
    assert ask(method, url, target, **headers) == 200


def test_a_signed_download_answers_ranges_and_conditions(store: Store, key: str) -> None:
    store.storage.put(key, [b"0123456789"])
    url = store.get_url(key)

    def get(**headers: str) -> requests.Response:
        return requests.get(
            url,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            timeout=10,
        )

    whole = get()
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Last-Modified"].endswith("GMT")
    for asked, content in (
        ("0-0", b"0"),
        ("3-5", b"345"),
        ("7-", b"789"),
        ("-2", b"89"),
        ("8-99", b"89"),
    ):
        part = get(Range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, content)
        assert part.headers["Content-Length"] == str(len(content))
        assert re.fullmatch(r"bytes \d-\d/10", part.headers["Content-Range"])
    beyond = get(Range="bytes=10-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */10")
    assert get(If_None_Match=whole.headers["ETag"]).status_code == 304
    assert get(If_None_Match='"another"').status_code == 200
    store.storage.put(key, [b"abcdefghij"])
    assert get(If_None_Match=whole.headers["ETag"]).content == b"abcdefghij"


@pytest.mark.parametrize("inline", [True, False])
def test_a_signed_download_has_the_type_and_name_it_was_made_for(
    store: Store, key: str, inline: bool
) -> None:
    store.storage.put(key, [b"bytes"], "application/x-other")
    url = store.get_url(
        key, filename='Ünï "写真" 100%.webp', content_type="image/webp", inline=inline
    )
    answer = requests.get(url, timeout=10)
    assert answer.headers["Content-Type"] == "image/webp"
    kind = "inline" if inline else "attachment"
    assert answer.headers["Content-Disposition"] == (
        f'{kind}; filename="Uni ____ 100_.webp"; '
        "filename*=UTF-8''%C3%9Cn%C3%AF%20%22%E5%86%99%E7%9C%9F%22%20100%25.webp"
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_file_name_stays_one_header_and_comes_back(name: str) -> None:
    header = content_disposition(name, inline=False)
    assert header.isascii()
    assert header.isprintable()
    plain = re.fullmatch(
        r"attachment; filename=\"([^\"\\/%]*)\"(?:; filename\*=UTF-8''(\S*))?", header
    )
    assert plain
    assert (plain[1] if plain[2] is None else unquote(plain[2])) == name


def test_a_signed_download_of_what_was_deleted_is_not_found(store: Store, key: str) -> None:
    store.storage.put(key, [b"bytes"])
    url = store.get_url(key)
    store.storage.delete([key])
    assert requests.get(url, timeout=10).status_code == 404


def test_another_secret_s_urls_are_refused(make_local: Store, tmp_path: Path) -> None:
    make_local.storage.put("key", [b"bytes"])
    other = Store(LocalStorage(tmp_path / "objects", "another key"), make_local.origin)
    assert requests.get(other.get_url("key"), timeout=10).status_code == 403
    assert requests.get(make_local.get_url("key"), timeout=10).status_code == 200


def test_on_aws_the_bucket_is_the_host(s3_server: S3Server) -> None:
    url = Store(S3Storage("pictures", None, "eu-west-1"), "").get_url("a key")
    assert url.startswith("https://pictures.s3.eu-west-1.amazonaws.com/a%20key?")


def test_without_credentials_nothing_is_signed(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DependencyDown):
        Store(S3Storage(s3_server.bucket, s3_server.endpoint, REGION), "").get_url("key")
