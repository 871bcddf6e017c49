"""The workspace API, as a client uses it: assets uploaded in three steps, and exports of them."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

from bench.client import Refused, Server
from bench.photos import marked

ASSETS, EXPORTS = "/api/v1/assets", "/api/v1/exports"
POLL_SECONDS = 0.1
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Stored:
    """An asset's id, and the key under which the service keeps its original."""

    asset_id: str
    storage_key: str


@dataclass(frozen=True)
class Exported:
    """``seconds`` from the request to the last byte, ``first_byte`` to the first; ``size`` is the
    ZIP's in bytes."""

    seconds: float
    first_byte: float
    size: int


def fill(server: Server, pictures: Sequence[bytes], assets: int, connections: int) -> list[Stored]:
    """Upload ``assets`` assets, made of the JPEGs in turn. No two have the same bytes, because they
    would share their renditions."""
    with ThreadPoolExecutor(connections) as threads:
        return list(threads.map(partial(_upload, server, pictures), range(assets)))


def export(
    server: Server, assets: Sequence[Stored], config: Mapping[str, Any], target: Path
) -> Exported:
    """Stream an export into the file ``target`` and check it. Raises Refused if a file is
    missing."""
    with _calling(server) as caller, target.open("wb") as file:
        began = time.perf_counter()
        response = caller.send("POST", EXPORTS, _wanted(assets, config))
        chunk = response.read1(CHUNK_BYTES)
        first_byte = time.perf_counter() - began
        while chunk:
            file.write(chunk)
            chunk = response.read1(CHUNK_BYTES)
        seconds = time.perf_counter() - began
    _look_through(target, len(assets))
    return Exported(seconds, first_byte, target.stat().st_size)


def export_batch(server: Server, assets: Sequence[Stored], config: Mapping[str, Any]) -> float:
    """Return the seconds from the request until a batch export is done. Raises Refused if it
    fails."""
    with _calling(server) as caller:
        began = time.perf_counter()
        state = caller.ask("POST", EXPORTS, {**_wanted(assets, config), "async": True})
        while state["status"] in ("queued", "running"):
            time.sleep(POLL_SECONDS)
            state = caller.ask("GET", f"{EXPORTS}/{state['id']}")
        seconds = time.perf_counter() - began
    if state["status"] != "done" or state["failed"]:
        raise Refused(f"the batch export ended as {state}")
    return seconds


@dataclass(frozen=True)
class _Caller:
    """One connection with its authentication headers. Raises Refused for every answer that is not
    2xx."""

    connection: HTTPConnection
    headers: Mapping[str, str]

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        content = None if body is None else json.dumps(body)
        self.connection.request(
            method, path, content, {**self.headers, "Content-Type": "application/json"}
        )
        return self._accepted()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.load(self.send(method, path, body))
        return answer

    def put(self, url: str, content: bytes, headers: Mapping[str, str]) -> None:
        self.connection.request("PUT", urlsplit(url).path, content, headers)
        self._accepted().read()

    def _accepted(self) -> HTTPResponse:
        response = self.connection.getresponse()
        if response.status >= 300:
            raise Refused(f"{response.status}: {response.read()[:500].decode(errors='replace')}")
        return response


@contextmanager
def _calling(server: Server) -> Iterator[_Caller]:
    with closing(server.connect()) as connection:
        yield _Caller(connection, server.headers)


def _wanted(assets: Sequence[Stored], config: Mapping[str, Any]) -> dict[str, Any]:
    return {"assetIds": [asset.asset_id for asset in assets], "config": config}


def _upload(server: Server, pictures: Sequence[bytes], number: int) -> Stored:
    content = marked(pictures[number % len(pictures)], f"bench {number}")
    declared = {
        "originalName": f"photo-{number}.jpg",
        "mimeType": "image/jpeg",
        "size": len(content),
    }
    with _calling(server) as caller:
        ticket = caller.ask("POST", ASSETS, {"mode": "presign", **declared})
        caller.put(ticket["uploadUrl"], content, ticket["headers"])
        asset = caller.ask(
            "POST", ASSETS, {"mode": "finalize", "storageKey": ticket["storageKey"], **declared}
        )
    return Stored(asset["id"], asset["storageKey"])


def _look_through(path: Path, assets: int) -> None:
    """Read every entry of a ZIP against its checksum."""
    with ZipFile(path) as archive:
        broken, names = archive.testzip(), archive.namelist()
    if broken or len(names) != assets or "errors.json" in names:
        raise Refused(
            f"the ZIP has {len(names)} entries for {assets} assets; broken: {broken}; last: "
            f"{names[-1:]}"
        )
