"""Servers of the bench: started in their own session, measured, and stopped with all their
children."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.client import Server, Work, drive
from bench.jobs import Job, Order

START_SECONDS = 60
STOP_SECONDS = 30


class HttpSide:
    """A server that the bench started: its process with all children, and its address."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], server: Server, connections: int
    ) -> None:
        self.name = name
        self.server = server
        self._root = psutil.Process(process.pid)
        self._connections = connections

    def processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def run(self, job: Job, orders: Sequence[Order]) -> Work:
        return drive(self.server, job, orders, self._connections)


@contextmanager
def started(
    command: Sequence[str], folder: Path, environment: dict[str, str], log: Path, ready_url: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a session of its own, so that Ctrl-C reaches only us and it is ended in order,
    with its children."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, ready_url, log)
            yield process
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for what is still there after it."""
    if process.poll() is not None:
        return
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    _, alive = psutil.wait_procs([psutil.Process(process.pid), *family], timeout=STOP_SECONDS)
    for one in alive:
        one.kill()
    process.wait()
