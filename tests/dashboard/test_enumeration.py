"""Whether an address has an account does not show in how long an answer takes."""

import time
from itertools import cycle, islice
from statistics import median

import pytest
from flask import Flask

from tests.clock import Clock
from tests.people import make_someone, new_email, send, visitor_of

pytestmark = pytest.mark.slow
TIMES = 50


@pytest.mark.parametrize("path", ["/login", "/signup", "/forgot"])
def test_known_and_unknown_addresses_take_as_long(app: Flask, clock: Clock, path: str) -> None:
    """Medians of 50 times within 10 %, in seconds of the processor, because other processes slow
    the machine down. Few attempts for an address, each from a new network, so that none waits."""
    known = islice(cycle([make_someone(app, clock).email for _ in range(13)]), TIMES)
    addresses = {"known": list(known), "unknown": [new_email() for _ in range(TIMES)]}
    seconds: dict[str, list[float]] = {name: [] for name in addresses}
    for pair in zip(*addresses.values(), strict=True):
        for name, email in zip(addresses, pair, strict=True):
            client = visitor_of(app)
            began = time.process_time()
            answer = send(client, path, email=email, password="a password of somebody")
            seconds[name].append(time.process_time() - began)
            assert answer.status_code == (400 if path == "/login" else 303)
    medians = [median(times) for times in seconds.values()]
    assert max(medians) / min(medians) < 1.1, medians
