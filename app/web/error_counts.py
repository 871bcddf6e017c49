"""Counts the refused requests of each organization, for its pages about usage."""

import structlog
from flask import g
from redis.exceptions import RedisError

from app.errors import AppError
from app.models import ActorKind
from app.services.usage import refusals
from app.web.context import container, now

log = structlog.get_logger()


def count(error: AppError) -> None:
    """Count the refusal of a request with a key. Where Redis does not answer, it goes uncounted."""
    who = g.get("principal")
    if who is None or who.actor.kind is not ActorKind.KEY:
        return
    try:
        refusals.count(container().redis, who.org_id, who.mode, error.code, now())
    except RedisError as failure:
        log.warning("error_counts.redis_down", error=str(failure))
