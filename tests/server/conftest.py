from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, running

PATIENCE = 3


@pytest.fixture(scope="session")
def shared_rig(session_folder: Path, redis_url: str) -> Iterator[Rig]:
    folder = session_folder / "rig"
    folder.mkdir()
    stripe = {
        "STRIPE_SECRET_KEY": "sk_test_1",
        "STRIPE_WEBHOOK_SECRETS": "whsec_1",
        "STRIPE_PRICES": "TEAM/month=price_1",
    }
    settings = {
        "CLIENT_TIMEOUT_SECONDS": str(PATIENCE),
        "WEB_THREADS": "2",
        "SPOOL_MB": "16",
        **stripe,
    }
    with running(folder, redis_url, **settings) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """A server with two threads a pool, little room and short timeouts. No test breaks it."""
    yield shared_rig
    log = shared_rig.log.read_text()
    assert log.count("Traceback") == log.count("RuntimeError: this answer does not end")
