"""Batch exports by the real worker of a whole service, whose processes are killed."""

import random
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import psutil
import pytest
import requests

from tests.conftest import Service, wait_until
from tests.dev.test_serve import register, used
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("batches")]
ASSETS = 20


def picture(number: int) -> bytes:
    """Large, and of a content of its own: a comment (T.81 §B.2.4.5) tells it from the others."""
    data = encoded(width=2000, height=1500)
    return data[:2] + b"\xff\xfe\x00\x04%02d" % number + data[2:]


def upload(service: Service, key: dict[str, str], number: int) -> str:
    data = picture(number)
    url = f"{service.url}/api/v1/assets"
    about: dict[str, Any] = {
        "originalName": f"{number}.jpg",
        "mimeType": "image/jpeg",
        "size": len(data),
    }
    ticket = requests.post(url, headers=key, json={"mode": "presign", **about}, timeout=30).json()
    requests.put(
        ticket["uploadUrl"], data=data, headers=ticket["headers"], timeout=30
    ).raise_for_status()
    final = {"mode": "finalize", "storageKey": ticket["storageKey"], **about}
    return str(requests.post(url, headers=key, json=final, timeout=60).json()["id"])


Library = tuple[dict[str, str], list[str]]


@pytest.fixture(scope="module")
def library(service: Service) -> Library:
    key = register(service, "batches", "ENTERPRISE")
    return key, [upload(service, key, number) for number in range(ASSETS)]


class Running:
    """A batch export of the whole library, in a size of its own, so that nothing of it is
    cached."""

    def __init__(self, service: Service, library: Library, width: int) -> None:
        self.service, (self.key, ids) = service, library
        body: dict[str, Any] = {
            "assetIds": ids,
            "async": True,
            "config": {"format": "avif", "maxWidth": width},
        }
        answer = requests.post(
            f"{service.url}/api/v1/exports", headers=self.key, json=body, timeout=30
        )
        assert answer.status_code == 202
        self.url = f"{service.url}{answer.headers['Location']}"

    @property
    def state(self) -> dict[str, Any]:
        return requests.get(self.url, headers=self.key, timeout=30).json()

    def wait(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        wait_until(lambda: condition(self.state), what, 120)
        return self.state


def kill(service: Service, module: str) -> bool:
    """Kill the processes that run ``module``; whether there were any."""
    killed = False
    for process in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it ended by itself
            if module in process.cmdline():
                process.kill()
                killed = True
    return killed


def test_a_killed_worker_s_export_ends_whole_and_is_counted_once(
    service: Service, library: Library
) -> None:
    before = used(service, library[0])
    export = Running(service, library, width=1900)
    moment = random.randrange(1, ASSETS // 2)
    export.wait(lambda state: state["processed"] >= moment, "the export to be under way")
    assert kill(service, "app.worker")
    assert export.state["status"] == "running"
    done = export.wait(lambda state: state["status"] == "done", "the export to be taken up again")
    assert (done["processed"], done["failed"]) == (ASSETS, 0)
    with ZipFile(BytesIO(requests.get(done["downloadUrl"], timeout=30).content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{number}.avif" for number in range(ASSETS)]
    assert used(service, library[0]) == before + ASSETS


def test_an_export_killed_before_it_was_claimed_is_not_lost(
    service: Service, library: Library
) -> None:
    """The job process is killed while it starts: RQ has taken the job from the queue, and the row
    is still queued."""
    export = Running(service, library, width=700)
    wait_until(lambda: kill(service, "app.worker.job_process"), "the job process to start")
    export.wait(lambda state: state["status"] == "done", "the export to be done")


def test_a_cancelled_export_stops(service: Service, library: Library) -> None:
    export = Running(service, library, width=1800)
    export.wait(lambda state: state["status"] == "running", "the export to run")
    assert requests.delete(export.url, headers=export.key, timeout=30).status_code == 204
    assert export.state["status"] == "cancelled"
    follower = Running(service, library, width=400)
    follower.wait(lambda state: state["status"] == "done", "the next export")
