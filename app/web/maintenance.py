"""During maintenance nothing is changed: writes are refused before anybody looks at their body or
asks who sends them. Reads, signing in and out, the staff console and the payment provider's events
go on, and so do jobs: an event that is refused for hours may not be sent again."""

import math
from datetime import datetime

from flask import request

from app.errors import Maintenance
from app.web import announcing
from app.web.context import now
from app.web.requirements import READING

GO_ON = ("admin", "webhooks", "dashboard.door", "dashboard.second_step")
"""Blueprints whose writes are taken meanwhile, with all below them."""
HARMLESS = READING | {"OPTIONS"}
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 3600
WITHOUT_END_SECONDS = 300


def check() -> None:
    """Refuse a request that would change something. Raises Maintenance."""
    if not (request.method in HARMLESS or request.endpoint is None or _goes_on()):
        refuse()


def refuse() -> None:
    """For what a GET is about to make and count, too. Raises Maintenance."""
    if found := announcing.maintenance():
        raise Maintenance(found.text, retry_after=_seconds_until(found.ends_at))


def _goes_on() -> bool:
    here = f"{request.blueprint}."
    return any(here.startswith(f"{name}.") for name in GO_ON)


def _seconds_until(end: datetime | None) -> int:
    """For ``Retry-After``: neither so short that all come back at once, nor so long that nobody
    does."""
    if end is None:
        return WITHOUT_END_SECONDS
    seconds = math.ceil((end - now()).total_seconds())
    return min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
