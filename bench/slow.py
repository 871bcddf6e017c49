"""``./run bench slow``: the effect of slow clients on others.

For each kind and number of slow clients, ``/healthz`` and batches are timed just before without
them and then with them, so that other load on the machine affects both sides of each ratio.
"""

import argparse
import io
import json
import os
import platform
import resource
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from PIL import Image

from bench import service, workspace
from bench.client import Server, form
from bench.photos import as_jpeg, find_photos
from bench.report import MIB, aim, aligned, tell, triple
from bench.server import HttpSide
from bench.workspace import Stored

NUMBERS = (40, 1000)
TRIES, BATCHES, BATCH_FILES, MEGAPIXELS = 20, 3, 4, 2
NOISE_SIDE = 2000
"""Pixels: 12 MB as PNG, more than the buffers on the way to a client hold."""
AS_JPEG = {"format": "JPEG", "quality": 100}
DRIP_SECONDS = 5
KEYED_A_SECOND = 60
"""Requests with the key, below what its plan allows."""
LATEST_MS = 100


@dataclass(frozen=True)
class Measured:
    """``health`` and ``batches`` in seconds; ``refused`` batches; resident bytes of the web
    process."""

    health: list[float]
    batches: list[float]
    refused: int
    memory: int

    @property
    def batch(self) -> float:
        return statistics.median(self.batches) if self.batches else float("inf")


@dataclass(frozen=True)
class Row:
    kind: str
    number: int
    alone: Measured
    crowded: Measured
    left: int
    """Slow clients whose connection still stands at the end."""


class Library:
    """The files for slow clients: a published image, and an export of it."""

    def __init__(self, side: HttpSide) -> None:
        self.server: Server = side.server
        picture = io.BytesIO()
        size = (NOISE_SIDE, NOISE_SIDE)
        Image.frombytes("RGB", size, os.urandom(3 * NOISE_SIDE**2)).save(
            picture, "PNG", compress_level=0
        )
        stored = self._upload(picture.getvalue())
        self.file = urlsplit(self._publish(stored)).path
        self.export = json.dumps({"assetIds": [stored.asset_id], "config": AS_JPEG}).encode()
        with tempfile.TemporaryDirectory() as folder:  # so that it is rendered
            workspace.export(self.server, [stored], AS_JPEG, Path(folder, "export.zip"))

    def _upload(self, content: bytes) -> Stored:
        fields, files = (
            b'name="name"\r\n\r\nnoise',
            b'name="image"; filename="noise.png"\r\n\r\n' + content,
        )
        parts = (
            b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n"
            for part in (fields, files)
        )
        headers = {**self.server.headers, "Content-Type": "multipart/form-data; boundary=edge"}
        answer = self._ask("POST", "/v1/images/upload", b"".join(parts) + b"--edge--\r\n", headers)
        return Stored(answer["id"], "")

    def _publish(self, stored: Stored) -> str:
        return self._ask(
            "POST", f"/v1/images/{stored.asset_id}/publish", b"", dict(self.server.headers)
        )["url"]

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        with closing(self.server.connect()) as connection:
            connection.request(method, path, body, headers)
            answer: dict[str, str] = json.load(connection.getresponse())
        return answer


Opening = Callable[[Library], bytes]


def _head(library: Library, line: str, *headers: str) -> bytes:
    key = [f"{name}: {value}" for name, value in library.server.headers.items()]
    return "\r\n".join([line, "Host: bench", *key, *headers, "", ""]).encode()


KINDS: dict[str, Opening] = {
    "half a header": lambda _: b"GET /healthz HTTP/1.1\r\nHost: be",
    "dripped body": lambda library: _head(
        library,
        "POST /compress/batch HTTP/1.1",
        "Content-Type: multipart/form-data; boundary=edge",
        "Content-Length: 5000000",
    ),
    "reader of a file": lambda library: _head(library, f"GET {library.file} HTTP/1.1"),
    "reader of a ZIP": lambda library: (
        _head(
            library,
            "POST /api/v1/exports HTTP/1.1",
            "Content-Type: application/json",
            f"Content-Length: {len(library.export)}",
        )
        + library.export
    ),
    "idle": lambda _: b"",
}
PACED = frozenset({"dripped body", "reader of a ZIP"})
READERS = frozenset({"reader of a file", "reader of a ZIP"})
BEGIN_SECONDS = 20


@contextmanager
def slow_clients(kind: str, number: int, library: Library) -> Iterator[list[socket.socket]]:
    """Open ``number`` connections that start a request and then continue very slowly or not at
    all."""
    clients = [_opened(library.server.port) for _ in range(number)]
    stop = threading.Event()

    def drip() -> None:
        while kind == "dripped body" and not stop.wait(DRIP_SECONDS):
            for client in clients:
                with suppress(OSError):
                    client.send(b"-")

    dripping = threading.Thread(target=drip)
    try:
        opening = KINDS[kind](library)
        for client in clients:
            client.sendall(opening)
            if kind in PACED:
                time.sleep(1 / KEYED_A_SECOND)
        dripping.start()
        if kind in READERS:
            _wait_until_begun(clients)
        yield clients
    finally:
        stop.set()
        if dripping.ident:
            dripping.join()
        for client in clients:
            client.close()


def _wait_until_begun(clients: Sequence[socket.socket]) -> None:
    """Wait until all answers have started, because starting a thousand at once is much work and not
    part of the measurement."""
    deadline = time.monotonic() + BEGIN_SECONDS
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                selector.unregister(key.fileobj)


def _opened(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect(("127.0.0.1", port))
    return client


def _stands(client: socket.socket) -> bool:
    """Return whether the server still keeps the connection open, without reading from it."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def measure(side: HttpSide, batch: tuple[bytes, str]) -> Measured:
    health = [_healthz(side.server.port) for _ in range(TRIES)]
    batches, refused = [], 0
    for _ in range(BATCHES):
        seconds = _batch(side.server, batch)
        batches += [seconds] if seconds else []
        refused += not seconds
    return Measured(health, batches, refused, _web(side).memory_info().rss)


def _healthz(port: int) -> float:
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    return time.perf_counter() - began


def _batch(server: Server, batch: tuple[bytes, str]) -> float:
    """Return the seconds, or 0 if the server refused it as overloaded."""
    began = time.perf_counter()
    with closing(server.connect()) as connection:
        connection.request(
            "POST", "/compress/batch", batch[0], {**server.headers, "Content-Type": batch[1]}
        )
        response = connection.getresponse()
        response.read()
    return time.perf_counter() - began if response.status == 200 else 0.0


def _web(side: HttpSide) -> psutil.Process:
    """Return the web worker process, not gunicorn's arbiter."""
    return next(
        one
        for one in side.processes()
        if "gunicorn" in " ".join(one.cmdline())
        and "gunicorn" in " ".join(psutil.Process(one.ppid()).cmdline())
    )


def main() -> int:
    options = _options()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        folder, data = Path(name), Path(name, "data")
        data.mkdir()
        batch = _pictures(folder)
        tell("starting Lightwell")
        with service.running(data, 1) as side:
            library = Library(side)
            measure(side, batch)
            rows = [
                _row(side, library, batch, kind, number)
                for kind in options.kinds
                for number in options.numbers
            ]
    print("\n".join(["", *_facts(before), "", *_table(rows), "", *_aims(rows)]))
    return 0


def _row(side: HttpSide, library: Library, batch: tuple[bytes, str], kind: str, number: int) -> Row:
    alone = measure(side, batch)
    with slow_clients(kind, number, library) as clients:
        _healthz(
            side.server.port
        )  # a thousand connections that come at once take a moment, slow or not
        crowded = measure(side, batch)
        left = sum(_stands(client) for client in clients)
    row = Row(kind, number, alone, crowded, left)
    tell(
        f"{number} × {kind}: /healthz at most {max(crowded.health) * 1000:.0f} ms, batch "
        f"{crowded.batch:.2f} s"
    )
    return row


def _pictures(folder: Path) -> tuple[bytes, str]:
    """A batch, as a form."""
    photos, _ = find_photos(folder)
    paths = []
    for number, photo in enumerate(photos[:BATCH_FILES]):
        paths.append(folder / f"batch-{number}.jpg")
        paths[-1].write_bytes(as_jpeg(photo, MEGAPIXELS))
    return form({"maxWidth": "1280"}, paths)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench slow", description="Measure what slow clients do to others."
    )
    parser.add_argument(
        "--numbers", type=int, nargs="+", default=NUMBERS, help="of slow clients (40 1000)"
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of slow clients (all)"
    )
    return parser.parse_args()


def _facts(before: tuple[float, float, float]) -> list[str]:
    cores = os.cpu_count() or 1
    return [
        f"Machine       {cores} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}",
        f"Load average  before {triple(before)}, after {triple(os.getloadavg())}",
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    heads = [
        "slow clients",
        "/healthz ms: alone",
        "with them",
        "batch s: alone",
        "with them",
        "ratio",
        "refused",
    ]
    table = [[*heads, "web MiB: alone", "with them", "still there"]]
    for row in rows:
        alone, crowded = both = row.alone, row.crowded
        table.append(
            [
                f"{row.number} × {row.kind}",
                *(
                    f"{statistics.median(one.health) * 1000:.0f} / {max(one.health) * 1000:.0f}"
                    for one in both
                ),
                *(f"{one.batch:.2f}" for one in both),
                f"{crowded.batch / alone.batch:.2f}",
                str(crowded.refused),
                *(f"{one.memory / MIB:.0f}" for one in both),
                str(row.left),
            ]
        )
    return aligned(table)


def _aims(rows: Sequence[Row]) -> list[str]:
    latest = max(max(row.crowded.health) for row in rows) * 1000
    slowest = max(row.crowded.batch / row.alone.batch for row in rows)
    return [
        aim("/healthz at most, ms", latest, LATEST_MS, at_most=True),
        aim("batch with slow clients : without", slowest, 1.5, at_most=True),
    ]


if __name__ == "__main__":
    sys.exit(main())
