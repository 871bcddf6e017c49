"""Browsers and people, for tests of pages."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.services.accounts import passwords
from dev.ports import free_port
from tests.client import ApiClient
from tests.clock import Clock
from tests.people import Someone, make_someone, visitor_of


@pytest.fixture
def visitor(app: Flask) -> ApiClient:
    """A browser that nobody is signed in with."""
    return visitor_of(app)


@pytest.fixture
def someone(app: Flask, clock: Clock) -> Someone:
    return make_someone(app, clock)


@pytest.fixture
def redis_down(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Redis stops answering the throttle when this is called."""

    def stop() -> None:
        nobody = Redis(host="127.0.0.1", port=free_port(), retry=Retry(NoBackoff(), 0))
        down = replace(app.extensions["lightwell"], redis=nobody)
        monkeypatch.setitem(app.extensions, "lightwell", down)

    return stop


@pytest.fixture(autouse=True)
def _quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id that takes no time, where time is not what a test looks at."""
    if not request.node.get_closest_marker("slow"):
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "HASHER", quick)
