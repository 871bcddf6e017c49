"""Whether the parts that the application stands on answer: database, Redis and storage."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Plan
from app.web.context import application, container

log = structlog.get_logger()
PATIENCE_SECONDS = 3.0
"""What has not answered by then counts as down. A check that hangs ends by its own time limit."""


@dataclass(frozen=True)
class Part:
    """What a part said. ``milliseconds`` is None if it failed, or has not answered in time."""

    name: str
    milliseconds: float | None

    @property
    def answers(self) -> bool:
        return self.milliseconds is not None


def check_parts() -> list[Part]:
    """Ask all parts at once; returns within ``PATIENCE_SECONDS``."""
    checks: dict[str, Callable[[], object]] = {
        "database": _check_database,
        "redis": container().redis.ping,
        "storage": container().storage.check,
    }
    answered: queue.SimpleQueue[Part] = queue.SimpleQueue()
    app = application()
    for name, check in checks.items():
        ask = threading.Thread(target=_ask, args=(app, name, check, answered), daemon=True)
        ask.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: dict[str, Part] = {}
    while len(found) < len(checks):
        try:
            part = answered.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        found[part.name] = part
    for name in checks.keys() - found:
        log.warning("parts.silent", part=name, seconds=PATIENCE_SECONDS)
    return [found.get(name, Part(name, None)) for name in checks]


def _ask(
    app: Flask, name: str, check: Callable[[], object], answered: queue.SimpleQueue[Part]
) -> None:
    began = time.perf_counter()
    try:
        with app.app_context():
            check()
    except Exception as error:  # any failure of a part is reported as such
        log.warning("parts.unavailable", part=name, error=str(error))
        answered.put(Part(name, None))
    else:
        answered.put(Part(name, round((time.perf_counter() - began) * 1000, 1)))


def _check_database() -> None:
    with transaction() as session:
        session.scalars(select(Plan.code).limit(1)).one()
