"""The names of gunicorn that our worker lives on, and which thread a request takes."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from gunicorn.asgi.protocol import ASGIProtocol, BodyReceiver
from gunicorn.workers import gasgi
from gunicorn.workers.gasgi import ASGIWorker

from app.http_worker import HttpConnection
from app.server.thread_pools import HEALTH, HEAVY, ThreadPools

LONG = re.compile(
    r"processing|imaging|background|\.image_work|\.outbound_calls|fetcher|painter|storage\.put|"
    r"part_uploads\.complete|image_of_operations|image_without_background|"
    r"\b_made\(|\b_cache\("
)
"""What views do that takes long: images, other servers, large files."""


def test_gunicorn_makes_its_connections_of_ours() -> None:
    assert "ASGIProtocol(self)" in inspect.getsource(ASGIWorker._serve)
    assert gasgi.ASGIProtocol is HttpConnection
    assert {"_complete", "signal_disconnect"} <= set(dir(BodyReceiver))
    assert "write_paused" in inspect.getsource(ASGIProtocol)


def test_every_endpoint_that_takes_long_is_in_the_heavy_lane(app: Flask) -> None:
    """Billing waits for the payment provider, uploads copy files; the webhook's provider only
    checks a signature."""
    assert set(app.view_functions) >= HEAVY | HEALTH
    found = {
        endpoint for endpoint, view in app.view_functions.items() if LONG.search(_source(view))
    }
    assert found == HEAVY


def _source(view: Callable[..., Any]) -> str:
    """A view's code, with that of the functions of its module that it calls."""
    view = inspect.unwrap(view)
    module = inspect.getmodule(view)
    source = inspect.getsource(view)
    helpers = [getattr(module, name, None) for name in re.findall(r"\b(_\w+)\(", source)]
    return source + "".join(
        inspect.getsource(helper) for helper in helpers if inspect.isfunction(helper)
    )


@pytest.mark.parametrize(
    ("method", "path", "pool"),
    [
        ("POST", "/compress/batch", "heavy"),
        ("POST", "//compress/batch/", "heavy"),
        ("GET", "/compress/batch", "light"),
        ("GET", "/api/v1/assets/some/export-url", "heavy"),
        ("POST", "/api/v1/exports", "heavy"),
        ("GET", "/api/v1/exports", "light"),
        ("GET", "/healthz", "health"),
        ("HEAD", "/readyz", "health"),
        ("POST", "/webhooks/stripe", "light"),
        ("GET", "/nowhere/\xff", "light"),
    ],
)
def test_the_pool_is_told_by_path_and_method(app: Flask, method: str, path: str, pool: str) -> None:
    thread_pools = ThreadPools(app.url_map, 1)
    assert thread_pools.of(method, path) is getattr(thread_pools, pool)
