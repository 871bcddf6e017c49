"""Files by URL that don't come as they should: each way of failing is told, in time, and leaves
nothing behind."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from app.adapters.fetching.fetcher import Fetched, Fetcher
from app.adapters.fetching.http_client import HttpClient
from app.errors import TooLarge, Unprocessable
from tests.adapters.fetching.origin import Origin, page, redirect, refusal

KILOBYTE = 1024
SLOW = 0.25
UNTOLD = {"content_length": ""}
CHUNKED = page(b"", transfer_encoding="chunked", **UNTOLD)


def fetch(
    fetcher: Fetcher, url: str, target: Path, most_bytes: int = KILOBYTE
) -> Callable[[], Fetched]:
    return lambda: fetcher.fetch(f"{url}/cat.png", target, most_bytes=most_bytes)


@pytest.mark.parametrize(
    ("answer", "media_type"),
    [
        (CHUNKED + b"4\r\n\x89PNG\r\n6;x=y\r\nabcdef\r\n0\r\nA: b\r\n\r\n", "image/png"),
        (page(b"\x89PNGabcdef", **UNTOLD), "image/png"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" + page(b"\x89PNGabcdef", "application/binary"),
            "application/binary",
        ),
        (page(b"\x89PNGabcdef", "", content_encoding="Identity"), "application/octet-stream"),
    ],
    ids=["chunked", "until the end", "after a 100", "of no type"],
)
def test_a_file_comes_in_every_framing(
    answer: bytes, media_type: str, plain: Origin, target: Path
) -> None:
    plain.pages["/cat.png"] = answer
    fetched = fetch(Fetcher(trusted_origins=[plain.url]), plain.url, target, most_bytes=10)()
    assert target.read_bytes() == b"\x89PNGabcdef"
    assert fetched.content_type == media_type


def test_a_file_that_is_declared_too_large_is_not_begun(plain: Origin, target: Path) -> None:
    plain.pages["/cat.png"] = page(b"", content_length=str(KILOBYTE * KILOBYTE + 1))
    fetcher = Fetcher(trusted_origins=[plain.url])
    problem = refusal(
        TooLarge, fetch(fetcher, plain.url, target, most_bytes=KILOBYTE * KILOBYTE), target
    )
    assert "larger than 1 MB" in problem


def test_a_file_without_an_end_is_not_kept(plain: Origin, target: Path) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        yield page(b"", **UNTOLD)
        while True:
            sent.append(bytes(64 * KILOBYTE))
            yield sent[-1]

    plain.pages["/cat.png"] = endless
    refusal(TooLarge, fetch(Fetcher(trusted_origins=[plain.url]), plain.url, target), target)
    assert len(sent) < 400


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            page(b"<html>", "text/html; charset=utf-8"),
            "answered with text/html, not with an image. Share the file",
        ),
        (page(b"gone", status="404 Not Found"), "status 404"),
        (page(b"no", status="403 Forbidden"), "without signing in"),
        (page(b"", status="500 Oops"), "status 500"),
        (page(b"", status="304 Not Modified"), "status 304"),
        (page(b"", status="302 Found"), "status 302"),
        (page(b"part", status="206 Partial Content"), "status 206"),
        (page(b"\x1f\x8b", content_encoding="gzip"), "compressed"),
        (page(b"half", content_length="8"), "ended before"),
        (CHUNKED + b"8\r\nhalf", "ended before"),
        (CHUNKED + b"-1\r\nmore" + bytes(9), "ended before"),
        (CHUNKED + b"nonsense\r\n", "ended before"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
        (page(b"", **{f"x{number}": "a" * 900 for number in range(90)}), "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "cannot be reached"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000 + page(b"late"), "cannot be reached"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_wrong_on_the_way_is_told(
    answer: bytes, problem: str, plain: Origin, target: Path
) -> None:
    plain.pages["/cat.png"] = answer
    assert problem in refusal(
        Unprocessable, fetch(Fetcher(trusted_origins=[plain.url]), plain.url, target), target
    )


def test_a_malformed_chunk_is_no_order_to_read_everything(plain: Origin, target: Path) -> None:
    plain.pages["/cat.png"] = CHUNKED + b"-1\r\n" + bytes(2 * KILOBYTE)
    refusal(TooLarge, fetch(Fetcher(trusted_origins=[plain.url]), plain.url, target), target)


def ends_in_time(fetcher: Fetcher, url: str, target: Path) -> None:
    began = time.monotonic()
    assert f"within {SLOW} seconds" in refusal(Unprocessable, fetch(fetcher, url, target), target)
    assert SLOW <= time.monotonic() - began < SLOW + 1


@pytest.mark.parametrize(
    ("whole", "after"),
    [
        (page(bytes(100)), 0),
        (page(bytes(100)), len(page(bytes(100))) - 60),
        (CHUNKED + b"1\r\na\r\n" * 40, len(CHUNKED)),
        (redirect("/cat.png"), len(redirect("/cat.png")) - 5),
    ],
    ids=["headers", "body", "chunks", "redirects"],
)
def test_a_server_that_drips_is_left_at_the_deadline(
    whole: bytes, after: int, plain: Origin, target: Path
) -> None:
    plain.pages["/cat.png"] = plain.slowly(whole, after)
    ends_in_time(Fetcher(trusted_origins=[plain.url], seconds=SLOW), plain.url, target)


def test_so_is_one_that_never_shakes_hands(plain: Origin, target: Path) -> None:
    url = plain.url.replace("http", "https")
    ends_in_time(Fetcher(trusted_origins=[url], seconds=SLOW), url, target)


def test_no_time_is_none_to_begin_with(plain: Origin, target: Path) -> None:
    fetcher = Fetcher(trusted_origins=[plain.url], seconds=0)
    assert "within 0 seconds" in refusal(Unprocessable, fetch(fetcher, plain.url, target), target)
    assert plain.connections == 0


def test_so_is_a_name_server_that_never_answers(plain: Origin, target: Path) -> None:
    never = Event()

    def look_up(_host: str) -> list[str]:
        never.wait()
        return []

    ends_in_time(
        Fetcher(seconds=SLOW, client=HttpClient(look_up)), "https://photos.s3.amazonaws.com", target
    )
    never.set()


def test_a_name_server_that_fails_is_no_fault_of_the_url(target: Path) -> None:
    def look_up(_host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    fetcher = Fetcher(client=HttpClient(look_up))
    assert "Try again" in refusal(
        Unprocessable, fetch(fetcher, "https://photos.s3.amazonaws.com", target), target
    )
