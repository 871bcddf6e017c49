"""Clients that are slow, silent, or gone: they hold no thread, and what they held is given back."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.server.rig import FORM, Client, Rig, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("rig"),
    pytest.mark.skipif(not psutil.LINUX, reason="looks into /proc"),
]
MANY = 40
"""Ten times the threads of the server."""


def crowd(
    rig: Rig, stack: ExitStack, line: str = "", *headers: str, body: bytes = b""
) -> list[Client]:
    clients = [stack.enter_context(closing(rig.client(receives=8192))) for _ in range(MANY)]
    for client in clients:
        if line:
            client.ask(line, *headers, body=body)
    return clients


def test_nobody_waits_for_slow_clients(rig: Rig) -> None:
    with ExitStack() as stack:
        for client in crowd(rig, stack):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: te")
        crowd(rig, stack)
        crowd(rig, stack, "POST /test/echo", "Content-Length: 10", body=b"half")
        crowd(rig, stack, "GET /test/stream/64")
        wait_until(lambda: rig.state["open"] == MANY, "all streams to begin")
        assert rig.ask("GET /healthz").status == 200
        assert rig.ask("POST /test/echo", body=b"whole").json["size"] == 5
        assert rig.state["open"] == MANY
    wait_until(lambda: rig.state["open"] == 0, "all streams to be closed")


def test_a_stalled_reader_is_cut_off_and_its_answer_closed(rig: Rig) -> None:
    before = rig.state["made"]
    with closing(rig.client(receives=8192)) as client:
        client.ask("GET /test/stream/64").recv(1000)
        wait_until(lambda: rig.state["open"] == 1, "the stream to begin")
        wait_until(lambda: rig.state["open"] == 0, "the stream to be closed")
        assert rig.state["made"] - before < 64, "it was made in vain"
        with pytest.raises(EOFError):
            client.answer()


def test_readers_that_go_close_their_answers(rig: Rig) -> None:
    """Whether a thread is at work on them just then or not."""
    for size in range(1000, 1_000_000, 50_000):
        with closing(rig.client()) as client:
            client.ask("GET /test/stream/64").recv(size)
    wait_until(lambda: rig.state["open"] == 0, "the stream to be closed")


def test_a_half_sent_header_is_answered_in_time(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: te")
        answer = client.answer()
        assert (answer.status, answer.json["code"]) == (408, "request_timeout")
        assert client.is_over()


@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_does_not_come_is_answered_in_time(rig: Rig, drips: bool) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Content-Length: 1000000", body=b"begun")
        while drips and not select.select([client], [], [], 0.2)[0]:
            client.send(b".")
        answer = client.answer()
        assert (answer.status, answer.json["code"]) == (408, "request_timeout")


def test_a_body_that_ends_early_is_malformed(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Content-Length: 1000000", body=b"begun").shutdown(
            socket.SHUT_WR
        )
        assert client.answer().status == 400


def test_a_client_that_goes_in_the_middle_of_its_upload_leaves_nothing(rig: Rig) -> None:
    with closing(rig.client()) as client:
        client.ask("POST /test/echo", "Content-Length: 5000000", body=bytes(4_000_000))
        wait_until(rig.spooled, "the upload to be on disk")
    wait_until(lambda: not rig.spooled(), "the upload to be gone")


def test_there_is_an_end_to_what_is_spooled(rig: Rig) -> None:
    def refused() -> bool:
        answer = rig.ask("POST /test/echo", body=bytes(4_000_000))
        assert answer.status in (200, 503)
        return answer.status == 503 and "retry-after" in answer.headers

    def full() -> bool:
        """On a busy machine the slow client may be given up before the spool was asked for more,
        so each attempt has a client of its own."""
        with closing(rig.client()) as client:
            client.ask("POST /test/echo", "Content-Length: 16000000", body=bytes(15_000_000))
            return any(refused() for _ in range(20))

    wait_until(full, "the spool to be full")
    wait_until(lambda: not refused(), "the spool to be free")


def test_an_answer_that_breaks_is_said_to_be_broken(rig: Rig) -> None:
    answer = rig.ask("GET /test/break/0")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    with closing(rig.client()) as client, pytest.raises(EOFError):
        client.ask("GET /test/break/200000").answer()
    assert "this answer does not end" in rig.log.read_text()


def test_long_work_leaves_threads_to_the_rest_and_has_a_bounded_queue(rig: Rig) -> None:
    """Two work, sixteen wait, and more are turned away; reads have threads of their own."""
    with ExitStack() as stack:
        clients = crowd(rig, stack, "GET /test/hold")
        turned_away: set[Client] = set()

        def all_told() -> bool:
            turned_away.update(select.select(clients, [], [], 0)[0])
            return len(turned_away) == MANY - 18

        wait_until(all_told, "those too many to be turned away")
        for client in turned_away:
            answer = client.answer()
            assert (answer.status, answer.json["code"]) == (503, "overloaded")
            assert "retry-after" in answer.headers
        assert rig.state["held"] == 2
        assert rig.ask("POST /test/release").status == 200
        assert [client.answer().status for client in clients if client not in turned_away] == [
            200
        ] * 18


def test_two_large_forms_at_a_json_endpoint_leave_memory_flat(rig: Rig) -> None:
    size, piece = 100_000_000, bytes(1_000_000)
    before = peak = rig.worker.memory_info().rss
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(rig.client())) for _ in range(2)]
        for client in clients:
            client.ask("POST /auth/register", FORM, f"Content-Length: {size}")
        for _ in range(size // len(piece)):
            for client in clients:
                client.sendall(piece)
            peak = max(peak, rig.worker.memory_info().rss)
        assert {client.answer().status for client in clients} == {415}
    assert peak - before < 16_000_000


@pytest.fixture
def another_rig(tmp_path: Path, redis_url: str) -> Iterator[Rig]:
    with running(
        tmp_path, redis_url, CONNECTIONS_PER_ADDRESS=str(MANY * 4), WEB_THREADS="2"
    ) as rig:
        yield rig


def test_connections_are_bounded_and_sigterm_waits_for_work_alone(another_rig: Rig) -> None:
    rig = another_rig
    with ExitStack() as stack:
        asked = stack.enter_context(closing(rig.client())).ask("GET /test/hold")
        streams = crowd(rig, stack, "GET /test/stream/64")
        wait_until(lambda: rig.state["open"] == MANY, "all streams to begin")
        for client in crowd(rig, stack):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: te")
        crowd(rig, stack, "POST /compress/batch", FORM, "Content-Length: 10")
        idle = [stack.enter_context(closing(rig.client())) for _ in range(MANY)]
        answer = idle[-1].answer()
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
        idle[0].close()
        idle[1].close()
        wait_until(lambda: rig.state["held"] == 1, "a connection to be free again")
        rig.process.terminate()
        assert idle[2].is_over()
        for stream in streams:
            with pytest.raises(EOFError):
                stream.answer()
        assert not select.select([asked], [], [], 0)[0]
        (rig.data_dir / "released").touch()
        assert asked.answer().status == 200
    assert rig.process.wait(30) == 0
