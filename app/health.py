"""Liveness and readiness checks for load balancers and operators."""

from flask import Blueprint

from app.web.parts import check_parts
from app.web.requirements import Nothing, requires

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@requires(Nothing())
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@requires(Nothing())
def readyz() -> tuple[dict[str, str], int]:
    """Database, Redis and storage answer; 503 names those that don't."""
    parts = check_parts()
    states = {part.name: "ok" if part.answers else "unavailable" for part in parts}
    ready = all(part.answers for part in parts)
    return {"status": "ok" if ready else "unavailable", **states}, 200 if ready else 503
