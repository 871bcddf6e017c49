"""Counters and histograms that all processes of all machines share (docs/decisions/047).

Each process counts in memory, and every few seconds adds its counts to hashes in Redis: one of all
time, for ``/metrics``, and one for each minute and each quarter of an hour, for the console.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as NotReached
from redis.exceptions import RedisError

log = structlog.get_logger()

TOTAL = "lightwell:metrics"
"""A hash in Redis: name and labels → count. Those of a period have its length and number behind."""
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
KEPT = {MINUTE: timedelta(hours=2), QUARTER: timedelta(hours=25)}
"""Length of a period → how long its counts are kept. A day of minutes would be 1,440 hashes to
read each time that somebody looks."""

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets in seconds; one without a bound follows."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"

REQUESTS, BUCKETS, MICROSECONDS, IMAGES, REFUSALS, AGE = (
    "requests", "buckets", "microseconds", "images", "refusals", "age",
)  # fmt: skip


class Tally:
    """What a process has counted and not yet written. All threads share it."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._lock = Lock()

    def add(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._counts.update(counts)

    def take(self) -> Counter[str]:
        """Return the counts and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter[str]()
        return counts


OWN = Tally()
"""This process's."""


def count_request(
    method: str, route: str | None, status: int, seconds: float, code: str | None
) -> None:
    """Count an answered request. ``route`` is the rule that it matched, ``code`` that of the
    error."""
    rule = route or NO_ROUTE
    verb = method if method in METHODS else "other"
    counts = {
        _key(REQUESTS, verb, rule, status): 1,
        _key(BUCKETS, rule, bisect_left(BOUNDS, seconds)): 1,
        _key(MICROSECONDS, rule): round(seconds * 1_000_000),
    }
    if code is not None:
        counts[_key(REFUSALS, code)] = 1
    OWN.add(counts)


def count_images(kind: str, mode: str, images: int) -> None:
    """Count images that were made and charged."""
    OWN.add({_key(IMAGES, kind, mode): images})


def _key(*parts: object) -> str:
    return "\t".join(str(part) for part in parts)


def write(pipeline: Pipeline, counts: Mapping[str, int], now: datetime) -> None:
    """Add counts to the totals and to the periods that ``now`` is in."""
    names = [TOTAL, *(_period_name(length, now) for length in KEPT)]
    for key, count in counts.items():
        for name in names:
            pipeline.hincrby(name, key, count)
    for (_, kept), name in zip(KEPT.items(), names[1:], strict=True):
        pipeline.expire(name, kept)


def flush(redis: Redis, now: datetime) -> None:
    """Write what this process has counted. Where Redis does not answer, the counts wait for the
    next time; where it fails midway, they are lost rather than counted twice."""
    if not (counts := OWN.take()):
        return
    try:
        with redis.pipeline() as pipeline:
            write(pipeline, counts, now)
            pipeline.execute()
    except NotReached as error:
        OWN.add(counts)
        log.warning("metrics.redis_down", error=str(error))
    except RedisError as error:
        log.warning("metrics.lost", error=str(error))


def sample_ages(redis: Redis, ages: Mapping[str, float], now: datetime) -> None:
    """Note for how many seconds the first job of each queue has waited; the longest of a period
    counts. Raises RedisError."""
    names = [_period_name(length, now) for length in KEPT]
    keys = {_key(AGE, queue): round(age) for queue, age in ages.items()}
    if not keys:
        return
    with redis.pipeline() as pipeline:
        for name in names:
            pipeline.hmget(name, list(keys))
        known: list[list[Any]] = pipeline.execute()
        for name, before in zip(names, known, strict=True):
            longest: dict[Any, Any] = {
                key: max(age, int(old or 0))
                for (key, age), old in zip(keys.items(), before, strict=True)
            }
            pipeline.hset(name, mapping=longest)
        for (_, kept), name in zip(KEPT.items(), names, strict=True):
            pipeline.expire(name, kept)
        pipeline.execute()


# ── what was counted ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Durations:
    """How long requests took: how many in each bucket, and seconds in all."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def quantile(self, share: float) -> float | None:
        """The seconds within which this share of the requests was answered, None without any."""
        return quantile(share, self.buckets)


@dataclass
class Figures:
    """The counts of a time, by their labels. ``ages`` are seconds by queue."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    durations: defaultdict[str, Durations] = field(default_factory=lambda: defaultdict(Durations))
    images: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    ages: Counter[str] = field(default_factory=Counter)

    def add(self, key: str, count: int) -> None:
        """Add one count, as it is in Redis."""
        name, *labels = key.split("\t")
        match name, labels:
            case "requests", [method, route, status]:
                self.requests[method, route, int(status)] += count
            case "buckets", [route, number]:
                self.durations[route].buckets[int(number)] += count
            case "microseconds", [route]:
                self.durations[route].seconds += count / 1_000_000
            case "images", [kind, mode]:
                self.images[kind, mode] += count
            case "refusals", [code]:
                self.refusals[code] += count
            case "age", [queue]:
                self.ages[queue] = max(self.ages[queue], count)

    def of_class(self, first: int, last: int = 5) -> int:
        """The requests whose status has its first digit in a range."""
        return sum(
            count
            for (_, _, status), count in self.requests.items()
            if first <= status // 100 <= last
        )


def totals(redis: Redis) -> Figures:
    """All that was ever counted. Raises RedisError."""
    return summed([redis.hgetall(TOTAL)])


def periods(
    redis: Redis, now: datetime, length: timedelta, number: int
) -> list[tuple[datetime, dict[Any, Any]]]:
    """The last ``number`` periods as their beginning and their counts, the oldest first; the last
    one goes on. Raises RedisError."""
    current = int(now.timestamp() // length.total_seconds())
    numbers = range(current - number + 1, current + 1)
    with redis.pipeline(transaction=False) as pipeline:
        for one in numbers:
            pipeline.hgetall(_name(length, one))
        found = pipeline.execute()
    seconds = length.total_seconds()
    return [
        (datetime.fromtimestamp(one * seconds, UTC), counts)
        for one, counts in zip(numbers, found, strict=True)
    ]


def summed(hashes: Sequence[Mapping[Any, Any]]) -> Figures:
    """What several hashes say together."""
    figures = Figures()
    for counts in hashes:
        for key, count in counts.items():
            figures.add(key.decode() if isinstance(key, bytes) else key, int(count))
    return figures


def quantile(share: float, buckets: Sequence[int]) -> float | None:
    """The value below which a share of the observations lies, None without any: as Prometheus's
    ``histogram_quantile``, which takes those of a bucket as evenly spread. Those beyond the last
    bound count as that bound."""
    if not (total := sum(buckets)):
        return None
    rank, below = share * total, 0
    for number, count in enumerate(buckets[:-1]):
        if count and below + count >= rank:
            lower = BOUNDS[number - 1] if number else 0.0
            return lower + (BOUNDS[number] - lower) * max(rank - below, 0) / count
        below += count
    return BOUNDS[-1]


def _period_name(length: timedelta, moment: datetime) -> str:
    return _name(length, int(moment.timestamp() // length.total_seconds()))


def _name(length: timedelta, number: int) -> str:
    return f"{TOTAL}:{int(length.total_seconds())}:{number}"
