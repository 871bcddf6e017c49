"""The application, with some views that do what is hard on a server. Started by gunicorn, never
imported by tests."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial

from flask import Blueprint, Response, request

from app.config import Settings
from app.factory import create_app
from app.server import thread_pools
from app.web.admission import before_body
from app.web.requirements import Nothing, requires

MEGABYTE = 1024 * 1024
thread_pools.HEAVY |= {"site.hold"}
blueprint = Blueprint("site", __name__)
state = {"open": 0, "held": 0, "made": 0}
lock = threading.Lock()
settings = Settings.from_env()
RELEASED = settings.data_dir / "released"
wait_a_moment = partial(threading.Event().wait, 0.05)


def count(name: str, change: int) -> None:
    with lock:
        state[name] += change


def large() -> None:
    request.max_content_length = 16 * MEGABYTE


@blueprint.post("/test/echo")
@before_body(large)
@requires(Nothing())
def echo() -> dict[str, object]:
    large()
    body = request.get_data()
    return {
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "length": request.content_length,
    }


@blueprint.get("/test/stream/<int:megabytes>")
@requires(Nothing())
def stream(megabytes: int) -> Response:
    """A stream of unknown length, of which ``state`` counts those that are open and the megabytes
    that were made."""

    def body() -> Iterator[bytes]:
        for _ in range(megabytes * 16):
            count("made", 1)
            yield bytes(MEGABYTE // 16)

    response = Response(body())
    count("open", 1)
    response.call_on_close(lambda: count("open", -1))  # as places and reservations are given back
    return response


@blueprint.get("/test/break/<int:pieces>")
@requires(Nothing())
def broken(pieces: int) -> Response:
    def body() -> Iterator[bytes]:
        for _ in range(pieces):
            yield b"piece"
        raise RuntimeError("this answer does not end")

    return Response(body())


@blueprint.get("/test/hold")
@requires(Nothing())
def hold() -> dict[str, str]:
    count("held", 1)
    try:
        while not RELEASED.exists():
            wait_a_moment()
    finally:
        count("held", -1)
    return {"held": "and released"}


@blueprint.post("/test/release")
@requires(Nothing())
def let_go() -> dict[str, str]:
    RELEASED.touch()
    return {}


@blueprint.get("/test/state")
@requires(Nothing())
def show() -> dict[str, int]:
    return state


@blueprint.get("/test/headers")
@requires(Nothing())
def shown() -> dict[str, str | None]:
    return {
        "forwarded": request.headers.get("X-Forwarded-For"),
        "path": request.path,
        "host": request.host,
    }


app = create_app(settings)
app.register_blueprint(blueprint)
