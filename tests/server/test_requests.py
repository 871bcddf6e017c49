"""HTTP/1.1 over real sockets: framing, order of answers, early refusals."""

import hashlib
import os
import socket
from contextlib import closing

import pytest

from app.services.accounts.keys import new_secret
from tests.server.rig import FORM, Rig

pytestmark = pytest.mark.xdist_group("rig")

KEY = f"x-api-key: psx_{new_secret()}"
JSON = "Content-Type: application/json"


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 600_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_bodies_arrive_as_they_were_sent(rig: Rig, size: int, framing: str) -> None:
    body = os.urandom(size)
    with closing(rig.client()) as client:
        if framing == "length":
            client.ask("POST /test/echo", f"Content-Length: {size}", body=body)
        else:
            client.ask("POST /test/echo", "Transfer-Encoding: chunked")
            for start in range(0, size, 50_000):
                chunk = body[start : start + 50_000]
                client.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            client.sendall(b"0\r\n\r\n")
        answer = client.answer()
        assert answer.json == {
            "size": size,
            "sha256": hashlib.sha256(body).hexdigest(),
            "length": size,
        }
        assert client.ask("GET /healthz").answer().status == 200
    assert not rig.spooled()


def test_a_connection_takes_one_request_after_the_other(rig: Rig) -> None:
    with closing(rig.client()) as client:
        for size in (3, 0, 700_000):
            answer = client.ask(
                "POST /test/echo", f"Content-Length: {size}", body=bytes(size)
            ).answer()
            assert answer.json["size"] == size
        assert client.ask("HEAD /healthz").answer("HEAD").headers["content-length"] == "16"
        assert client.ask("GET /test/stream/1").answer().body == bytes(1024 * 1024)
        assert client.ask("GET /healthz").answer().json == {"status": "ok"}


def test_requests_sent_at_once_are_answered_in_order(rig: Rig) -> None:
    requests = [
        b"POST /test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        for size in (5, 0, 9)
    ]
    with closing(rig.client()) as client:
        client.sendall(b"".join(requests) + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [client.answer().json["size"] for _ in requests] == [5, 0, 9]
        assert client.answer().status == 404


def test_a_client_that_sends_no_more_still_reads(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Content-Length: 3", body=b"abc").shutdown(socket.SHUT_WR)
        assert client.answer().json["size"] == 3
        assert client.is_over()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_close_is_close(rig: Rig, version: str) -> None:
    with closing(rig.client()) as client:
        answer = client.ask("GET /healthz", "Connection: close", version=version).answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.is_over()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (
            b"POST /test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: "
            b"chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"POST /test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: "
            b"5\r\n\r\nabcde",
            400,
        ),
        (b"POST /test/echo HTTP/1.1\nHost: x\nContent-Length: 1\n\na", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"k" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"POST /test/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /test/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_our_body(
    rig: Rig, request_bytes: bytes, status: int
) -> None:
    with closing(rig.client()) as client:
        client.sendall(request_bytes)
        answer = client.answer()
        assert (answer.status, answer.json["status"]) == (status, status)
        assert answer.json["requestId"] == answer.headers["x-request-id"]
        assert client.is_over()


def test_a_header_with_an_underscore_does_not_pass_for_another(rig: Rig) -> None:
    assert rig.ask("GET /test/headers", "X_Forwarded_For: 1.2.3.4").json["forwarded"] is None
    assert rig.ask("GET http://shop.example/test/headers?x").json["path"] == "/test/headers"


def test_there_are_no_websockets(rig: Rig) -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {'a' * 22}==",
    )
    assert rig.ask("GET /healthz", *upgrade).json["code"] == "bad_request"


@pytest.mark.parametrize(
    ("line", "headers", "size", "status"),
    [
        ("POST /compress/batch", (FORM,), 5_000_000, 401),
        ("POST /compress/batch", (FORM, "x-api-key: psx_nonsense"), 5_000_000, 401),
        ("POST /compress/batch", (FORM, KEY), 5_000_000, 401),
        ("POST /auth/register", (FORM,), 380_000_000, 415),
        ("POST /auth/register", (FORM,), 10, 415),
        ("POST /auth/register", (JSON,), 380_000_000, 413),
        ("POST /webhooks/stripe", (JSON,), 5_000_000, 413),
        ("POST /test/echo", (), 17_000_000, 413),
        ("PUT /storage/nonsense", (), 5_000_000, 403),
        ("POST /nowhere", (), 5_000_000, 404),
        ("DELETE /healthz", (), 5_000_000, 405),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_what_the_headers_say_is_refused_before_the_body(
    rig: Rig, line: str, headers: tuple[str, ...], size: int, status: int, waits: bool
) -> None:
    expect = ("Expect: 100-continue",) if waits else ()
    with closing(rig.client()) as client:
        answer = client.ask(line, *headers, f"Content-Length: {size}", *expect).answer()
        assert (answer.status, answer.json["status"]) == (status, status)
        assert answer.headers["connection"] == "close"


def test_a_client_that_waits_for_its_turn_gets_it(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Content-Length: 3", "Expect: 100-continue")
        assert client.answer().status == 100
        client.sendall(b"abc")
        assert client.answer().json["size"] == 3


def test_a_refused_client_that_goes_on_sending_still_reads_why(rig: Rig) -> None:
    size = 30_000_000
    with closing(rig.client()) as client:
        client.ask("POST /auth/register", FORM, f"Content-Length: {size}")
        for _ in range(size // 1_000_000):
            client.sendall(bytes(1_000_000))
        assert client.answer().status == 415
        assert client.is_over()


def test_a_body_longer_than_it_may_be_is_cut_off_as_it_comes(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Transfer-Encoding: chunked")
        for _ in range(17):
            client.sendall(b"100000\r\n" + bytes(1_048_576) + b"\r\n")
        assert client.answer().status == 413
        assert not rig.spooled()  # though more may come
