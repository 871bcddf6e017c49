"""The whole service, as ``./run serve`` starts it: real processes, real sockets."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
import requests
from PIL import Image
from redis import Redis
from rq import Queue

from dev.environment import read_services
from tests.conftest import ROOT, Service, running_service, wait_until
from tests.images import encoded
from tests.server.rig import spooled_by

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service")]


def register(service: Service, name: str, plan: str | None = None) -> dict[str, str]:
    """An account's authorization header, as a client gets it."""
    answer = requests.post(
        f"{service.url}/auth/register", json={"email": f"{name}@example.com"}, timeout=10
    )
    if plan:
        service.flask("orgs", "set-plan", f"{name}@example.com", plan)
    return {"Authorization": f"Bearer {answer.json()['apiKey']}"}


def compress(
    service: Service, key: dict[str, str], *files: bytes, **fields: str
) -> requests.Response:
    return requests.post(
        f"{service.url}/compress/batch",
        headers=key,
        data=fields,
        files=[("files[]", (f"{number}.jpg", data)) for number, data in enumerate(files)],
        timeout=120,
    )


def used(service: Service, key: dict[str, str]) -> int:
    return int(requests.get(f"{service.url}/usage", headers=key, timeout=10).json()["used"])


def spooled(service: Service) -> list[Path]:
    return list((service.data_dir / "spool").glob("req_*"))


def arriving(service: Service) -> list[str]:
    """Uploads that are not whole yet, as far as they are on disk."""
    return spooled_by(web_process(service).pid, service.data_dir)


def web_process(service: Service) -> psutil.Process:
    """The gunicorn worker that answers, not the arbiter above it."""
    return next(
        child
        for child in psutil.Process(service.process.pid).children(recursive=True)
        if "gunicorn" in " ".join(child.cmdline())
        and "gunicorn" in " ".join(psutil.Process(child.ppid()).cmdline())
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
def test_the_printed_line_gets_a_key_and_the_key_compresses(service: Service) -> None:
    wait_until(lambda: "Ctrl-C" in service.log.read_text(), "the banner")
    banner = service.log.read_text()
    assert f"{service.url.replace('127.0.0.1', 'localhost')}/docs" in banner
    arguments = shlex.split(re.findall(r"curl .*", banner)[0])
    answer = subprocess.run([*arguments, "--silent"], capture_output=True, text=True, check=True)
    key = {"x-api-key": re.findall(r"psx_\w+", answer.stdout)[0]}
    assert compress(service, key, encoded(), quality="0.7").json()["processed"] == 1
    assert used(service, key) == 1


def test_commands_work_on_the_data_of_a_running_service(service: Service) -> None:
    service.flask("users", "create", "ops@example.com")
    service.flask("orgs", "set-plan", "ops@example.com", "BUSINESS")
    key = {"x-api-key": service.flask("keys", "create", "ops@example.com")}
    assert (
        requests.get(f"{service.url}/usage", headers=key, timeout=10).json()["plan"] == "BUSINESS"
    )


def test_sixty_four_parallel_requests_at_a_limit_of_a_hundred(service: Service) -> None:
    """Each sends two files, so fifty fit; refusals are 429 and 503 only, and exactly what was
    processed is counted."""
    key = register(service, "parallel")
    with sqlite3.connect(service.data_dir / "lightwell.sqlite3", timeout=10) as database:
        database.execute(
            "INSERT INTO plans SELECT 'RUSH', 9, 0, 100, 1000, storage_mb, file_mb, batch_files, "
            "workspace_api, 0, NULL, NULL, NULL FROM plans WHERE code = 'TEAM'"
        )
    service.flask("orgs", "set-plan", "parallel@example.com", "RUSH")
    picture = encoded(width=320, height=240)
    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda _: compress(service, key, picture, picture), range(64)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 429, 503}
    assert used(service, key) == 2 * statuses.count(200) <= 100
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    while used(service, key) < 100:
        assert compress(service, key, picture, picture).status_code == 200
    assert compress(service, key, picture).json()["code"] == "monthly_limit_reached"


def begin_upload(service: Service, key: dict[str, str], framing: str, body: bytes) -> socket.socket:
    """A connection on which an upload has begun and does not go on."""
    address = urlsplit(service.url)
    head = (
        f"POST /compress/batch HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: "
        f"{key['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=edge\r\n{framing}\r\n\r\n"
    )
    connection = socket.create_connection((address.hostname, address.port), timeout=60)
    connection.sendall(head.encode() + body)
    return connection


def half_an_upload(service: Service, key: dict[str, str]) -> socket.socket:
    part = b'--edge\r\nContent-Disposition: form-data; name="files[]"; filename="a.jpg"\r\n\r\n'
    connection = begin_upload(service, key, "Content-Length: 5000000", part + bytes(1_000_000))
    wait_until(lambda: arriving(service), "the upload to begin")
    assert not spooled(service), "the application heard of it"
    return connection


@pytest.mark.skipif(not psutil.LINUX, reason="looks into /proc")
def test_a_client_that_goes_away_is_not_charged_and_leaves_nothing(service: Service) -> None:
    key = register(service, "gone")
    half_an_upload(service, key).close()
    wait_until(lambda: not arriving(service), "the spool to be empty")
    assert used(service, key) == 0


@pytest.mark.skipif(not psutil.LINUX, reason="looks into /proc")
def test_a_client_that_falls_silent_is_given_up(service: Service) -> None:
    key = register(service, "silent")
    with half_an_upload(service, key) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    wait_until(lambda: not arriving(service), "the spool to be empty")
    assert used(service, key) == 0


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /usage HTTP/1.1\r\nHost: x\r\nx-api-key: " + b"k" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /usage HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400),
        (b"POST /usage HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_refused_with_our_body(
    service: Service, request_bytes: bytes, status: int
) -> None:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(request_bytes)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/json" in head
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n--edge\r\n", b"5\r\n--edgeXX", b"5\r\n--e", b"5;" + b"x" * 20_000 + b"\r\n"]
)
def test_malformed_chunks_are_the_client_s_fault(service: Service, chunks: bytes) -> None:
    key = register(service, f"chunks-{len(chunks)}")
    with begin_upload(service, key, "Transfer-Encoding: chunked", chunks) as connection:
        with suppress(OSError):  # it may have answered and closed already
            connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert "defect" not in service.log.read_text()
    assert used(service, key) == 0


def test_health_answers_while_pictures_are_worked_on(service: Service) -> None:
    key = register(service, "busy", "BUSINESS")
    with ThreadPoolExecutor(3) as threads:
        batches = [
            threads.submit(compress, service, key, *[encoded(width=2000, height=1500)] * 4)
            for _ in range(3)
        ]
        while not all(batch.done() for batch in batches):
            assert requests.get(f"{service.url}/healthz", timeout=2).status_code == 200
        assert {batch.result().status_code for batch in batches} == {200}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_batch(service: Service) -> None:
    """Sixteen incompressible megabytes-large pictures in and out: 100 MB of JSON, and the web
    process stays small."""
    key = register(service, "large", "ENTERPRISE")
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), dtype="uint8")
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=1)
    picture = buffer.getvalue()
    compress(service, key, encoded())
    process = web_process(service)
    before = process.memory_info().rss
    answer = requests.post(
        f"{service.url}/compress/batch",
        headers=key,
        data={"quality": "1", "mimeType": "image/png"},
        files=[("files[]", (f"{number}.png", picture)) for number in range(16)],
        stream=True,
        timeout=300,
    )
    assert answer.status_code == 200
    peak, received = before, 0
    for chunk in answer.iter_content(1 << 20):
        received += len(chunk)
        peak = max(peak, process.memory_info().rss)
    assert received == int(answer.headers["Content-Length"]) > 16 * len(picture)
    assert peak - before < 60_000_000


def imaging_processes(service: Service) -> list[psutil.Process]:
    return [
        one for one in web_process(service).children() if "spawn_main" in " ".join(one.cmdline())
    ]


@pytest.mark.slow
def test_a_killed_imaging_process_costs_its_file_only(service: Service) -> None:
    key = register(service, "killed", "ENTERPRISE")
    before = {child.pid: child.cpu_times().user for child in imaging_processes(service)}

    def busy() -> list[psutil.Process]:
        return [
            child
            for child in imaging_processes(service)
            if child.cpu_times().user - before.get(child.pid, child.cpu_times().user) > 0.1
        ]

    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(
            compress,
            service,
            key,
            *[encoded(width=3000, height=2000, seed=n) for n in range(8)],
            partial="true",
        )
        wait_until(busy, "a child at work")
        busy()[0].kill()
        answer = batch.result()
    assert answer.status_code == 200
    assert len(answer.json()["results"]) >= 7
    assert compress(service, key, encoded()).status_code == 200


def test_the_worker_sweeps(service: Service) -> None:
    abandoned = service.data_dir / "spool" / "req_abandoned"
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (1, 1))
    with Redis.from_url(read_services(service.data_dir)["REDIS_URL"]) as connection:
        Queue("default", connection=connection).enqueue("app.jobs.sweep")
        wait_until(lambda: not abandoned.exists(), "the worker to sweep")


def test_a_taken_port_is_said(service: Service) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "dev.serve"],
        env={**service.environment, "DATA_DIR": str(service.data_dir / "other")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "is taken. Choose another: PORT=" in refused.stderr


@pytest.mark.slow
def test_stopping_leaves_no_process_and_the_next_start_keeps_the_data(tmp_path: Path) -> None:
    key = None
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with running_service(tmp_path) as running:
            key = key or register(running, "kept")
            before = used(running, key)
            assert compress(running, key, encoded()).json()["usage"]["used"] == before + 1
            family = psutil.Process(running.process.pid).children(recursive=True)
            assert len(family) >= 6
            running.process.send_signal(stop)
            assert running.process.wait(30) == 0
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    assert before == 2


@pytest.mark.slow
def test_a_redis_of_one_s_own_is_used_instead_of_the_embedded_valkey(
    tmp_path: Path, redis_url: str
) -> None:
    with running_service(tmp_path, REDIS_URL=redis_url) as running:
        register(running, "own-redis")
        assert not (running.data_dir / "valkey").exists()


def test_production_does_not_start_without_its_secrets(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    web = ["-m", "gunicorn", "-c", "python:app.gunicorn_conf", "wsgi:app"]
    for command in (web, ["-m", "app.worker"], ["-m", "flask", "sweep"]):
        refused = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert refused.returncode != 0
        assert "SECRET_KEY: production needs one" in refused.stderr
        assert "REDIS_URL: production needs one" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_run_script_lists_its_tasks() -> None:
    listed = subprocess.run([ROOT / "run"], capture_output=True, text=True, check=True).stdout
    for task in ("serve", "test", "check", "lint", "bench", "flask"):
        assert re.search(rf"^  {task} ", listed, re.MULTILINE)
    assert subprocess.run([ROOT / "run", "dance"], capture_output=True).returncode == 1
