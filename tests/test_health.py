"""Health checks."""

import pytest
from flask import Flask

from tests.client import ApiClient
from tests.databases import on_both_databases


@on_both_databases
def test_a_whole_service_is_ready(client: ApiClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "database": "ok", "redis": "ok", "storage": "ok"}


@pytest.mark.parametrize("part", ["storage", "redis"])
def test_a_part_that_is_down_is_named(
    app: Flask, client: ApiClient, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def down() -> None:
        raise OSError("gone")

    target = getattr(app.extensions["lightwell"], part)
    monkeypatch.setattr(target, "check" if part == "storage" else "ping", down)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json[part] == "unavailable"
    assert client.get("/healthz").status_code == 200
