"""The whole service when its processes are killed: it goes on, or ends as a whole."""

import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from redis import Redis
from rq import Queue

from dev.environment import read_services
from dev.serve import WEB_STOP_SECONDS
from tests import jobs
from tests.conftest import Service, running_service, wait_until
from tests.dev.test_serve import compress, register
from tests.images import encoded

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


def test_a_killed_worker_is_started_again(service: Service) -> None:
    killed = part_of(service, "app.worker")
    assert killed
    children = killed.children()
    killed.kill()
    assert not psutil.wait_procs(children, timeout=10)[1]
    path = service.data_dir / "noted"
    with Redis.from_url(read_services(service.data_dir)["REDIS_URL"]) as connection:
        Queue("default", connection=connection).enqueue(jobs.note, str(path))
        wait_until(path.exists, "the new worker")
    assert part_of(service, "app.worker") != killed


def test_a_killed_web_server_is_started_again(service: Service) -> None:
    killed = part_of(service, "gunicorn")
    assert killed
    key = register(service, "survivor")
    killed.kill()
    wait_until(lambda: part_of(service, "gunicorn") not in (None, killed), "the new process")
    wait_until(lambda: is_ready(service), "the new web server")
    assert compress(service, key, encoded()).status_code == 200


def half_an_upload(service: Service, key: dict[str, str]) -> socket.socket:
    """A request that keeps the web server busy: the rest of it never comes."""
    url = urlsplit(service.url)
    connection = socket.create_connection((url.hostname, url.port))
    connection.sendall(
        b"POST /compress/batch HTTP/1.1\r\nHost: lightwell\r\nContent-Type: multipart/form-data; "
        b"boundary=b\r\n"
        b"Authorization: %b\r\nContent-Length: 1000\r\n\r\n--b\r\n" % key["Authorization"].encode()
    )
    return connection


def test_nothing_outlives_a_killed_serve_whose_successor_takes_over_at_once(tmp_path: Path) -> None:
    with running_service(tmp_path) as first:
        family = psutil.Process(first.process.pid).children(recursive=True)
        with half_an_upload(first, register(first, "half-way")):
            first.process.kill()
            first.process.wait()
            assert not psutil.wait_procs(family, timeout=5)[1]
            with running_service(tmp_path, PORT=str(urlsplit(first.url).port)) as second:
                assert second.url == first.url


def test_all_stops_when_valkey_dies(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        family = psutil.Process(service.process.pid).children(recursive=True)
        next(process for process in family if "valkey-server" in process.name()).kill()
        # The web process may take its time to stop, even on a busy machine.
        assert service.process.wait(WEB_STOP_SECONDS + 15) == 1
        assert "Valkey has stopped; see" in service.log.read_text()
        assert not psutil.wait_procs(family, timeout=10)[1]
