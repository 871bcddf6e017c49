"""The figures of the console's page about health, and the state of the database."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis import Redis

from app.services import metrics
from app.services.metrics import MINUTE, QUARTER, Figures
from app.tenancy import TenantSession

PERIODS = {1: MINUTE, 24: QUARTER}
"""Hours that the page may show → length of what one bar of it counts."""
MOST_ROUTES = 30


class Route(NamedTuple):
    """What was asked of one route. ``half`` and ``most`` are the seconds within which 50 % and
    95 % were answered."""

    route: str
    requests: int
    refused: int
    failed: int
    half: float | None
    most: float | None


class Moment(NamedTuple):
    """What happened in one period. ``wait`` is the longest of any queue, in seconds."""

    began: datetime
    answered: int
    refused: int
    failed: int
    images: int
    wait: int


@dataclass(frozen=True)
class Window:
    """What happened in the last hours. ``waits`` are the longest of each queue, in seconds."""

    moments: Sequence[Moment]
    length: timedelta
    routes: Sequence[Route]
    routes_left_out: int
    refusals: Sequence[tuple[str, int]]
    images: Sequence[tuple[str, str, int]]
    waits: Sequence[tuple[str, int]]
    half: float | None
    most: float | None

    @property
    def requests(self) -> int:
        return sum(one.answered + one.refused + one.failed for one in self.moments)

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.moments)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.moments)

    @property
    def images_made(self) -> int:
        return sum(one.images for one in self.moments)


def window(redis: Redis, now: datetime, hours: int) -> Window:
    """The last ``hours`` hours, one of ``PERIODS``. Raises RedisError."""
    length = PERIODS[hours]
    found = metrics.periods(redis, now, length, int(timedelta(hours=hours) / length))
    whole = metrics.summed([counts for _, counts in found])
    routes = _routes(whole)
    every = [spent.buckets for spent in whole.durations.values()]
    buckets = [sum(column) for column in zip(*every, strict=True)]
    return Window(
        moments=[_moment(began, metrics.summed([counts])) for began, counts in found],
        length=length,
        routes=routes[:MOST_ROUTES],
        routes_left_out=max(len(routes) - MOST_ROUTES, 0),
        refusals=whole.refusals.most_common(),
        images=[(kind, mode, images) for (kind, mode), images in whole.images.most_common()],
        waits=sorted(whole.ages.items()),
        half=metrics.quantile(0.5, buckets),
        most=metrics.quantile(0.95, buckets),
    )


def _moment(began: datetime, figures: Figures) -> Moment:
    return Moment(
        began,
        figures.of_class(1, 3),
        figures.of_class(4, 4),
        figures.of_class(5),
        figures.images.total(),
        max(figures.ages.values(), default=0),
    )


def _routes(figures: Figures) -> list[Route]:
    """The routes, the most asked first."""
    by_class: dict[str, Counter[int]] = {}
    for (_, route, status), count in figures.requests.items():
        by_class.setdefault(route, Counter())[status // 100] += count
    routes = [
        Route(
            route,
            classes.total(),
            classes[4],
            classes[5],
            figures.durations[route].quantile(0.5),
            figures.durations[route].quantile(0.95),
        )
        for route, classes in by_class.items()
    ]
    return sorted(routes, key=lambda one: (-one.requests, one.route))


class DatabaseState(NamedTuple):
    """``version`` names the product. ``revision`` is the migration that it is at, None before the
    first; ``newest`` that of the code."""

    version: str
    revision: str | None
    newest: str | None


def database_state(session: TenantSession, migrations: str) -> DatabaseState:
    """``migrations`` is the folder of the migrations."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        numbers = connection.dialect.server_version_info or ()
        version = f"PostgreSQL {'.'.join(str(number) for number in numbers)}"
    else:
        version = f"SQLite {sqlite3.sqlite_version}"
    revision = MigrationContext.configure(connection).get_current_revision()
    return DatabaseState(version, revision, ScriptDirectory(migrations).get_current_head())


def redis_version(redis: Redis) -> str:
    """Raises RedisError."""
    info = redis.info("server")
    name = "Valkey" if "valkey_version" in info else "Redis"
    return f"{name} {info.get('valkey_version') or info.get('redis_version')}"
