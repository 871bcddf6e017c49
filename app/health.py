"""Liveness and readiness checks for load balancers and operators."""

from collections.abc import Callable

import structlog
from flask import Blueprint
from sqlalchemy import select

from app.extensions import transaction
from app.models import Plan
from app.web.context import container
from app.web.requirements import Nothing, requires

blueprint = Blueprint("health", __name__)
log = structlog.get_logger()


@blueprint.get("/healthz")
@requires(Nothing())
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@requires(Nothing())
def readyz() -> tuple[dict[str, str], int]:
    """Database, Redis and storage answer; 503 names those that don't."""
    checks: dict[str, Callable[[], object]] = {
        "database": _check_database,
        "redis": container().redis.ping,
        "storage": container().storage.check,
    }
    states = {name: _state(name, check) for name, check in checks.items()}
    ready = all(state == "ok" for state in states.values())
    return {"status": "ok" if ready else "unavailable", **states}, 200 if ready else 503


def _check_database() -> None:
    with transaction() as session:
        session.scalars(select(Plan.code).limit(1)).one()


def _state(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # any failure of a part is reported as unavailable
        log.warning("readyz.unavailable", part=name, error=str(error))
        return "unavailable"
    return "ok"
