"""``/admin/health``: whether all parts work, and what the last hours were like."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from flask import Blueprint, Response, current_app, request
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.adapters.queue import QueueState, WorkerState, queue_states, worker_states
from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.staff import health
from app.services.staff.duties import Duty
from app.services.staff.health import DatabaseState
from app.web import measures
from app.web.context import container, now
from app.web.parts import check_parts
from app.web.requirements import Staff, requires
from app.web.versions import versions

blueprint = Blueprint("health", __name__, url_prefix="/health")
log = structlog.get_logger()
Found = TypeVar("Found")

SILENT_AFTER = timedelta(minutes=10)
"""RQ's workers beat at least every seven minutes while they wait."""
LITTLE_SPACE = 0.1


@dataclass(frozen=True)
class Disk:
    """The disk that ``DATA_DIR`` is on, in bytes."""

    total: int
    free: int

    @property
    def is_nearly_full(self) -> bool:
        return self.free < self.total * LITTLE_SPACE


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    """Each part of the page is found for itself: one that is down leaves the others."""
    hours = 24 if request.args.get("hours") == "24" else 1
    parts = {part.name: part for part in check_parts()}
    has_redis = parts["redis"].answers
    redis = container().redis
    if has_redis:
        measures.writer().flush()
    return admin_page(
        "admin/health.html",
        parts=list(parts.values()),
        hours=hours,
        periods=[(text, f"?hours={n}", n == hours) for text, n in (("Hour", 1), ("Day", 24))],
        disk=_disk(),
        versions=versions(),
        database=_found(_database) if parts["database"].answers else None,
        redis_version=_found(lambda: health.redis_version(redis)) if has_redis else None,
        queues=_queues() if has_redis else None,
        workers=_workers() if has_redis else None,
        window=_found(lambda: health.window(redis, now(), hours)) if has_redis else None,
        label=_label(hours),
    )


def _found(find: Callable[[], Found]) -> Found | None:
    """What ``find`` returns, None if it has no answer."""
    try:
        return find()
    except (RedisError, SQLAlchemyError) as error:
        log.warning("health.unavailable", error=str(error))
        return None


def _database() -> DatabaseState:
    with transaction() as session:
        return health.database_state(session, current_app.extensions["migrate"].directory)


def _queues() -> list[tuple[QueueState, int]] | None:
    """The queues, and how long the first job of each has waited, in seconds."""
    moment, states = now(), _found(lambda: queue_states(container().redis))
    return None if states is None else [(state, round(state.age(moment))) for state in states]


def _workers() -> list[tuple[WorkerState, bool]] | None:
    """The workers, and whether each was heard of lately."""
    heard = now() - SILENT_AFTER
    states = _found(lambda: worker_states(container().redis))
    if states is None:
        return None
    return [(one, one.heartbeat is not None and one.heartbeat > heard) for one in states]


def _disk() -> Disk:
    usage = shutil.disk_usage(container().settings.data_dir)
    return Disk(usage.total, usage.free)


def _label(hours: int) -> Callable[[datetime], str]:
    """How a bar is named: by the time, in UTC; of a day also by the weekday."""
    return lambda began: f"{began:%H:%M}" if hours == 1 else f"{began:%a %H:%M}"
