"""The whole service under more work than it has children for, sent by few."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.conftest import Service
from tests.dev.test_serve import compress, register, used
from tests.images import encoded

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.slow]
PARALLEL = 40
PATIENCE = 60


def uploaded(service: Service, key: dict[str, str], seed: int) -> str:
    data = encoded(width=2304, height=1728, seed=seed)
    about: dict[str, Any] = {
        "originalName": "hero.jpg",
        "mimeType": "image/jpeg",
        "size": len(data),
    }
    url = f"{service.url}/api/v1/assets"
    ticket = requests.post(
        url, headers=key, json={"mode": "presign", **about}, timeout=PATIENCE
    ).json()
    requests.put(
        ticket["uploadUrl"], data, headers=ticket["headers"], timeout=PATIENCE
    ).raise_for_status()
    about |= {"mode": "finalize", "storageKey": ticket["storageKey"]}
    return str(requests.post(url, headers=key, json=about, timeout=PATIENCE).json()["id"])


def until_served(service: Service, key: dict[str, str]) -> requests.Response:
    """A client that repeats as it is told to."""
    while (answer := compress(service, key, encoded())).status_code == 503:
        assert int(answer.headers["Retry-After"]) <= 5
    return answer


def test_forty_slow_renditions_keep_nobody_else_waiting(service: Service) -> None:
    """Every thread but those that work on images goes on answering, and another organization has
    its turn before the crowd."""
    crowd = [register(service, f"crowd{number}", "ENTERPRISE") for number in range(3)]
    other = register(service, "bystander", "ENTERPRISE")
    assets = [uploaded(service, key, number) for number, key in enumerate(crowd)]

    def ask(number: int) -> requests.Response:
        who, quality = number % len(crowd), 50 + number
        url = f"{service.url}/api/v1/assets/{assets[who]}/export-url?format=AVIF&quality={quality}"
        return requests.get(url, headers=crowd[who], timeout=PATIENCE)

    with ThreadPoolExecutor(PARALLEL + 1) as threads:
        asked: list[Future[requests.Response]] = [
            threads.submit(ask, number) for number in range(PARALLEL)
        ]
        served = threads.submit(until_served, service, other)
        while not all(future.done() for future in asked):
            assert requests.get(f"{service.url}/healthz", timeout=3).status_code == 200
            assert requests.get(f"{service.url}/usage", headers=other, timeout=3).status_code == 200
        statuses = Counter(future.result().status_code for future in asked)
    assert set(statuses) == {200, 503}
    assert all(
        future.result().headers["Retry-After"]
        for future in asked
        if future.result().status_code == 503
    )
    assert served.result().json()["processed"] == 1
    assert sum(used(service, key) for key in crowd) == statuses[200]
