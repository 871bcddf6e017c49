"""Storages whose signed URLs are reached over real HTTP."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app.adapters.storage.interface import Storage
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.s3 import S3Storage
from tests.clock import real_now
from tests.s3 import REGION, S3Server

MINUTES = timedelta(minutes=15)


@dataclass(frozen=True)
class Store:
    """A storage under test. ``origin`` completes the URLs that are paths."""

    storage: Storage
    origin: str

    def put_url(
        self,
        key: str,
        size: int = 5,
        content_type: str = "image/jpeg",
        begins: datetime | None = None,
    ) -> str:
        begins = begins or real_now()
        presigned = self.storage.presign_put(
            key, size=size, content_type=content_type, expires_at=begins + MINUTES, now=begins
        )
        assert presigned.headers == {"Content-Type": content_type}
        return urljoin(self.origin, presigned.url)

    def get_url(self, key: str, begins: datetime | None = None, **changes: Any) -> str:
        begins = begins or real_now()
        said: dict[str, Any] = {
            "filename": "photo.jpg",
            "content_type": "image/jpeg",
            "inline": True,
            **changes,
        }
        return urljoin(
            self.origin,
            self.storage.presign_get(key, expires_at=begins + MINUTES, now=begins, **said),
        )


@pytest.fixture(scope="module")
def origin(sqlite_app: Flask) -> Iterator[str]:
    """The application behind a real server."""

    def closed_in_any_case(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        """Werkzeug's server forgets to close an answer when its client is gone too soon."""
        answer: Any = sqlite_app(environ, start_response)
        with closing(answer):
            yield from answer

    server = make_server("127.0.0.1", 0, closed_in_any_case, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "objects", "a secret key")


@pytest.fixture
def make_local(
    app: Flask, real_time: None, local: LocalStorage, origin: str, monkeypatch: pytest.MonkeyPatch
) -> Store:
    container = app.extensions["lightwell"]
    monkeypatch.setitem(app.extensions, "lightwell", replace(container, storage=local))
    return Store(local, origin)


@pytest.fixture
def make_s3(s3_server: S3Server) -> Store:
    return Store(S3Storage(s3_server.bucket, s3_server.endpoint, REGION), s3_server.endpoint)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"make_{request.param}")


@pytest.fixture
def key() -> str:
    return f"tests/{uuid4()}/photo"
