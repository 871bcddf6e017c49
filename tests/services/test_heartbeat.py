"""Leases are renewed while somebody works, by a thread that ends with the work."""

import threading

import pytest

from app.services.heartbeat import Heartbeat

SECONDS = 30


def test_all_claims_are_renewed_until_they_end_and_again_when_others_come() -> None:
    beats: list[frozenset[str]] = []
    seen = threading.Condition()

    def renew(claims: frozenset[str]) -> None:
        with seen:
            beats.append(claims)
            seen.notify_all()

    def wait_for(*claims: str) -> None:
        with seen:
            assert seen.wait_for(lambda: beats[-1:] == [frozenset(claims)], SECONDS)

    heartbeat = Heartbeat("test", 0.01, renew)
    for _ in range(2):
        with heartbeat.renewing("a"):
            wait_for("a")
            with heartbeat.renewing("b"):
                wait_for("a", "b")
            wait_for("a")
            thread = heartbeat._thread
            assert thread is not None
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_beat_that_fails_is_logged_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats, second = [], threading.Event()

    def renew(_claims: frozenset[str]) -> None:
        beats.append(1)
        if len(beats) == 1:
            raise OSError("the database is away")
        second.set()

    with Heartbeat("test", 0.01, renew).renewing("a"):
        assert second.wait(SECONDS)
    assert "heartbeat.failed" in caplog.text
