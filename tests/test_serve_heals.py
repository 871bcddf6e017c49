"""The whole service when its processes are killed: it goes on, or ends as a whole."""

from contextlib import suppress

import psutil
import pytest
import requests
from redis import Redis
from rq import Queue

from tests import jobs
from tests.conftest import Service, running_service, wait_until
from tests.images import encoded
from tests.test_serve import compress, register

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service")]


def part_of(service: Service, module: str) -> psutil.Process | None:
    """The process that ``serve`` keeps running, once it has begun."""
    for child in psutil.Process(service.process.pid).children():
        with suppress(psutil.Error):
            if child.cmdline()[1:3] == ["-m", module]:
                return child
    return None


def is_ready(service: Service) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{service.url}/readyz", timeout=10).status_code == 200
    return False


def test_a_killed_worker_is_started_again(service) -> None:
    killed = part_of(service, "app.worker")
    children = killed.children()
    killed.kill()
    assert not psutil.wait_procs(children, timeout=10)[1]
    path = service.data_dir / "noted"
    with Redis(host="127.0.0.1", port=int((service.data_dir / "valkey" / "port").read_text())) as connection:
        Queue("default", connection=connection).enqueue(jobs.note, str(path))
        wait_until(path.exists, "the new worker")
    assert part_of(service, "app.worker") != killed


def test_a_killed_web_server_is_started_again(service) -> None:
    killed = part_of(service, "gunicorn")
    key = register(service, "survivor")
    killed.kill()
    wait_until(lambda: part_of(service, "gunicorn") not in (None, killed), "the new process")
    wait_until(lambda: is_ready(service), "the new web server")
    assert compress(service, key, encoded()).status_code == 200


def test_nothing_outlives_a_killed_serve_and_all_stops_when_valkey_dies(tmp_path) -> None:
    with running_service(tmp_path) as first:
        family = psutil.Process(first.process.pid).children(recursive=True)
        first.process.kill()
        first.process.wait()
        assert not psutil.wait_procs(family, timeout=10)[1]
    with running_service(tmp_path) as second:
        family = psutil.Process(second.process.pid).children(recursive=True)
        next(process for process in family if "valkey-server" in process.name()).kill()
        assert second.process.wait(10) == 1
        assert "Valkey has stopped; see" in second.log.read_text()
        assert not psutil.wait_procs(family, timeout=10)[1]
