"""What is announced just now, as requests see it: read from the database every three seconds at
most, by each process for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import transaction
from app.models import Announcement, AnnouncementKind
from app.services import announcements
from app.web.context import now

log = structlog.get_logger()

FRESH = timedelta(seconds=3)
BOARD = "lightwell.announcements"


@dataclass(frozen=True)
class Reading:
    at: datetime
    found: Sequence[Announcement]


class Board:
    """What has not ended. Two threads that find it old both read it, which does no harm."""

    def __init__(self) -> None:
        self._reading: Reading | None = None

    def holding(self, moment: datetime) -> list[Announcement]:
        """What holds at this moment. While the database does not answer, what was read last."""
        reading = self._reading
        if reading is None or not timedelta() <= moment - reading.at < FRESH:
            reading = self._reading = self._read(moment, reading)
        return [one for one in reading.found if announcements.holds(one, moment)]

    def forget(self) -> None:
        """After a change in this process: read it anew. The others see it in three seconds."""
        self._reading = None

    def _read(self, moment: datetime, last: Reading | None) -> Reading:
        try:
            with transaction() as session:
                return Reading(moment, announcements.not_ended(session, moment))
        except SQLAlchemyError as error:
            log.error("announcements.not_read", error=str(error))
            return Reading(moment, last.found if last else ())


def init_app(app: Flask) -> None:
    app.extensions[BOARD] = Board()
    app.jinja_env.globals["maintenance_text"] = maintenance_text


def board() -> Board:
    found: Board = current_app.extensions[BOARD]
    return found


def texts_for(org_id: str, plan_code: str) -> list[str]:
    """The banners for an organization on this plan, the earliest first."""
    return [
        one.text
        for one in board().holding(now())
        if one.kind == AnnouncementKind.BANNER and announcements.concerns(one, org_id, plan_code)
    ]


def maintenance() -> Announcement | None:
    """The maintenance that there is just now; of several the one that ends last."""
    found = [one for one in board().holding(now()) if one.kind == AnnouncementKind.MAINTENANCE]
    return max(
        found, key=lambda one: (one.ends_at is None, one.ends_at or one.starts_at), default=None
    )


def maintenance_text() -> str:
    """For the banner of all pages; empty if there is none."""
    found = maintenance()
    return found.text if found else ""
