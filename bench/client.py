"""The load client: real multipart requests over parallel keep-alive connections."""

import http.client
import json
import queue
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.jobs import Job, Order

TIMEOUT_SECONDS = 120


@dataclass
class Work:
    """The results of a round: wall ``seconds`` from the first byte sent to the last received,
    ``images`` and their bytes.

    ``single`` and ``batch`` are the seconds of each request of that kind, upload and download
    included.
    """

    seconds: float = 0.0
    images: int = 0
    bytes_out: int = 0
    single: list[float] = field(default_factory=list)
    batch: list[float] = field(default_factory=list)


class Refused(Exception):
    """The server answered another status than 200, so there is nothing to measure."""


@dataclass(frozen=True)
class Server:
    """A server with ``POST /compress/batch``. ``headers`` contain the key."""

    port: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        connection.connect()
        return connection

    def send(self, connection: http.client.HTTPConnection, body: bytes, content_type: str) -> bytes:
        """Send one request and return the whole answer. Raises Refused."""
        connection.request(
            "POST", "/compress/batch", body, {**self.headers, "Content-Type": content_type}
        )
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise Refused(f"{response.status}: {answer[:500].decode(errors='replace')}")
        return answer


def form(fields: Mapping[str, str], files: Sequence[Path]) -> tuple[bytes, str]:
    """A multipart body and its Content-Type."""
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in fields.items():
        parts.append(
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"\r\n\r\n{value}\r\n'.encode()
        )
    for file in files:
        disposition = f'form-data; name="files[]"; filename="{file.name}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        parts += [
            f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(),
            file.read_bytes(),
            b"\r\n",
        ]
    return b"".join(
        [*parts, f"--{boundary}--\r\n".encode()]
    ), f"multipart/form-data; boundary={boundary}"


def drive(server: Server, job: Job, orders: Sequence[Order], connections: int) -> Work:
    """Send the orders. Each connection takes the next one after its answer.

    Bodies are made before and answers parsed after the measured time, because the client shares the
    server's cores.
    """
    bodies = {
        order: form(job.fields, [photo.path for photo in order.photos]) for order in set(orders)
    }
    waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
    for order in orders:
        waiting.put(order)
    answers: list[bytes] = []
    work = Work()

    def run(connection: http.client.HTTPConnection) -> None:
        with closing(connection), suppress(queue.Empty):
            while order := waiting.get_nowait():
                began = time.perf_counter()
                answers.append(server.send(connection, *bodies[order]))
                (work.batch if order.is_batch else work.single).append(time.perf_counter() - began)

    opened = [server.connect() for _ in range(connections)]
    with ThreadPoolExecutor(connections) as threads:
        began = time.perf_counter()
        for future in [threads.submit(run, connection) for connection in opened]:
            future.result()
        work.seconds = time.perf_counter() - began
    results = [result for answer in answers for result in _results(answer)]
    work.images, work.bytes_out = len(results), sum(result["size"] for result in results)
    return work


def _results(answer: bytes) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads(answer)["results"]
    return results
