"""Counts every answered request, and logs those with a key.

The request itself only adds to lists in memory, which takes microseconds. A thread of the process
writes them to Redis every few seconds, in one round trip.
"""

import threading
import time

import structlog
from flask import Flask, Response, current_app, g, request
from redis.exceptions import ConnectionError as NotReached
from redis.exceptions import RedisError

from app.models import ActorKind
from app.services import metrics, request_log
from app.services.request_log import Entry
from app.web.context import Container, now
from app.web.request import api_request

log = structlog.get_logger()

FLUSH_SECONDS = 5.0
IDLE_ROUNDS = 12
"""After so many rounds without anything the thread ends; the next request starts another."""


class Writer:
    """Writes what this process has counted, as long as there is anything."""

    def __init__(self, parts: Container) -> None:
        self._parts = parts
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()

    def ensure(self) -> None:
        """Have a thread write."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="measures", daemon=True)
                    self._thread.start()

    def flush(self) -> bool:
        """Write what there is now. Returns whether there was anything.

        Where Redis does not answer, it waits for the next time; where that fails midway, it is lost
        rather than counted twice.
        """
        with self._writing:
            counts, entries = metrics.OWN.take(), request_log.OWN.take()
            if not counts and not entries:
                return False
            try:
                with self._parts.redis.pipeline() as pipeline:
                    metrics.write(pipeline, counts, self._parts.clock())
                    request_log.write(pipeline, entries)
                    pipeline.execute()
            except NotReached as error:
                metrics.OWN.add(counts)
                request_log.OWN.put_back(entries)
                log.warning("measures.redis_down", error=str(error))
            except RedisError as error:
                log.warning("measures.lost", error=str(error))
            return True

    def _run(self) -> None:
        idle = 0
        while idle < IDLE_ROUNDS:
            time.sleep(FLUSH_SECONDS)
            try:
                idle = 0 if self.flush() else idle + 1
            except Exception:
                log.exception("measures.failed")
        self._thread = None
        self.flush()  # what came before its request could see that the thread has ended


def init_app(app: Flask) -> None:
    app.extensions["lightwell.measures"] = Writer(app.extensions["lightwell"])


def writer() -> Writer:
    """The application's."""
    found: Writer = current_app.extensions["lightwell.measures"]
    return found


def note(response: Response) -> None:
    """Count the request that ends with this answer; log it if it had a key that is known."""
    seconds = time.perf_counter() - g.began
    route = str(request.url_rule) if request.url_rule else None
    code: str | None = g.get("error_code")
    metrics.count_request(request.method, route, response.status_code, seconds, code)
    who = g.get("principal")
    if who is not None and who.actor.kind is ActorKind.KEY:
        request_log.OWN.add(
            Entry(
                org_id=who.org_id,
                id=api_request().id,
                key_id=who.actor.id,
                mode=who.mode,
                method=request.method[:8],
                route=(route or metrics.NO_ROUTE)[:120],
                status=response.status_code,
                code=code,
                milliseconds=round(seconds * 1000),
                bytes_in=request.content_length,
                bytes_out=response.content_length,
                created_at=now().isoformat(),
            )
        )
    writer().ensure()
