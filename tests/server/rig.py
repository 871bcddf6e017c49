"""A real gunicorn with our worker, and clients that write HTTP by hand."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app.config import Settings
from dev.ports import free_port
from tests.conftest import ROOT, wait_until

FORM = "Content-Type: multipart/form-data; boundary=edge"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(socket.socket):
    """A connection on which every byte is written by the test."""

    def __init__(self, port: int, receives: int = 0) -> None:
        super().__init__()
        if receives:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        self.settimeout(30)
        self._read = b""
        try:
            self.connect(("127.0.0.1", port))
        except OSError:
            self.close()
            raise

    def ask(
        self, line: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1"
    ) -> "Client":
        self.sendall(
            "\r\n".join([f"{line} {version}", "Host: test", *headers, "", ""]).encode() + body
        )
        return self

    def answer(self, method: str = "GET") -> Answer:
        """The next answer on the connection, whole. Raises EOFError where it is cut off."""
        status_line, *lines = self._until(b"\r\n\r\n").decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        status = int(status_line.split(" ")[1])
        body = b""
        if method != "HEAD" and status >= 200 and status not in (204, 304):
            body = (
                self._chunks()
                if "transfer-encoding" in headers
                else self._exactly(int(headers["content-length"]))
            )
        return Answer(status, headers, body)

    def is_over(self) -> bool:
        """Whether the server has closed it, with nothing more on it. Waits for that."""
        with suppress(ConnectionError):
            return not self._read and self.recv(1) == b""
        return True

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _more(self) -> None:
        try:
            data = self.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError(self._read)
        self._read += data


@dataclass(frozen=True)
class Rig:
    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, **options: int) -> Client:
        return Client(self.port, **options)

    def ask(self, line: str, *headers: str, body: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        if body and not any(header.startswith("Content-Length") for header in headers):
            headers = (*headers, f"Content-Length: {len(body)}")
        with closing(self.client()) as client:
            return client.ask(line, *headers, body=body).answer(line.split(" ")[0])

    @property
    def state(self) -> dict[str, int]:
        found: dict[str, int] = self.ask("GET /test/state").json
        return found

    @property
    def worker(self) -> psutil.Process:
        return next(
            child
            for child in psutil.Process(self.process.pid).children()
            if "gunicorn" in " ".join(child.cmdline())
        )

    def spooled(self) -> list[str]:
        """Files of bodies, which have no name any more."""
        return spooled_by(self.worker.pid, self.data_dir)


def spooled_by(pid: int, data_dir: Path) -> list[str]:
    """The files without a name that a process has open in the spool folder, as Linux tells them."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(link.readlink())
            if target.startswith(str(data_dir / "spool")) and target.endswith("(deleted)"):
                found.append(target)
    return found


@contextmanager
def running(folder: Path, redis_url: str, **settings: str) -> Iterator[Rig]:
    port = free_port()
    machine = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    environment = {
        **machine, "APP_ENV": "development", "DATA_DIR": str(folder / "data"), "PORT": str(port),
        "REDIS_URL": redis_url, "RATELIMIT_ANONYMOUS": "100000/minute", "IMAGING_PROCESSES": "1",
        **settings,
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    log = folder / "gunicorn.log"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:app.gunicorn_conf",
        "tests.server.site:app",
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
    rig = Rig(port, folder / "data", process, log)

    def answers() -> bool:
        with suppress(OSError, EOFError):
            return rig.ask("GET /healthz").status == 200
        return False

    try:
        wait_until(answers, "gunicorn")
        yield rig
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
