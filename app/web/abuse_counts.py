"""Counts by whom and from where requests are refused, for our own people to see misuse.

The counts are sorted sets in Redis, one for each ten minutes and one for each hour. Each holds the
most frequent names only: when it has ``MOST``, the less frequent half goes. So a name that comes
often stays, however many come once. Counting never fails a request.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import structlog
from flask import Response, g, request
from redis import Redis
from redis.exceptions import RedisError

from app.errors import AppError, RateLimited, Unauthenticated
from app.imaging.errors import ImageTooLarge, ImageTooSlow, UnreadableImage
from app.web import limits
from app.web.addresses import remote_ip
from app.web.admission import ADMISSION_KEY
from app.web.context import container, now

log = structlog.get_logger()
PREFIX = "lightwell:abuse"
MOST, KEPT = 10_000, 5_000
"""Names in one sorted set; what is left when it is full."""
CANDIDATES, LISTED = 100, 20
HOSTILE = (ImageTooLarge, ImageTooSlow, UnreadableImage)
"""How files are refused that were made to do harm, and some that are merely damaged."""

SCRIPT = b"""
for index, key in ipairs(KEYS) do
    redis.call('zincrby', key, ARGV[3], ARGV[3 + index])
    redis.call('expire', key, ARGV[(index - 1) %% 2 + 1])
    if redis.call('zcard', key) > %d then
        redis.call('zremrangebyrank', key, 0, -%d - 1)
    end
end
""" % (MOST, KEPT)
"""Count a name in each key. The keys are of ten minutes and of an hour by turns; the first two
arguments are how many seconds each kind is kept, the third is by how much it is counted."""


class Series(StrEnum):
    """What is counted. Addresses are networks of /64 in IPv6."""

    REFUSED_ORGANIZATIONS = "refused-organizations"
    UNKNOWN_ADDRESSES = "unknown-addresses"
    LIMITED_ADDRESSES = "limited-addresses"
    REGISTRATIONS = "registrations"
    HOSTILE_ORGANIZATIONS = "hostile-organizations"
    HOSTILE_ADDRESSES = "hostile-addresses"


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """Of one sorted set."""
        return 600 if self is Period.HOUR else 3600

    @property
    def sets(self) -> int:
        """How many sorted sets make up the period, beside the one that has just begun."""
        return 6 if self is Period.HOUR else 24

    @property
    def kept(self) -> int:
        """Seconds after which a sorted set is forgotten."""
        return (self.sets + 2) * self.seconds


class Counted(NamedTuple):
    """An organization's id, an address or a network, and how often it was counted."""

    name: str
    times: int


# ── counting ──────────────────────────────────────────────────────────────────────────────────────


def count_refusal(error: AppError) -> None:
    """Count a request that is refused: for its organization, and for its address if the key is
    unknown, if there were too many, or if its files are hostile."""
    names: list[tuple[Series, str]] = []
    who, address = g.get("principal"), _address()
    if who and error.status < 500:
        names.append((Series.REFUSED_ORGANIZATIONS, who.org_id))
    if address and isinstance(error, Unauthenticated):
        names.append((Series.UNKNOWN_ADDRESSES, address))
    if address and isinstance(error, RateLimited):
        names.append((Series.LIMITED_ADDRESSES, address))
    count(names)
    cause = error.__cause__
    count_files(cause.exceptions if isinstance(cause, ExceptionGroup) else [error])


def count_files(errors: Iterable[Exception]) -> None:
    """Count the hostile ones among files that were refused."""
    files = sum(isinstance(error, HOSTILE) for error in errors)
    who, address = g.get("principal"), _address()
    if files and who:
        count([(Series.HOSTILE_ORGANIZATIONS, who.org_id)], files)
    if files and address:
        count([(Series.HOSTILE_ADDRESSES, address)], files)


def count_wrong_password() -> None:
    """Count a password that is not the account's."""
    if address := _address():
        count([(Series.UNKNOWN_ADDRESSES, address)])


def count_registration(response: Response) -> Response:
    """Count an attempt to open an account, whatever comes of it, as its limit does."""
    if limits.is_registration() and ADMISSION_KEY not in request.environ and remote_ip():
        count([(Series.REGISTRATIONS, limits.network(24).removeprefix("address:"))])
    return response


def _address() -> str | None:
    """The address of the request, as a network."""
    return limits.network(32).removeprefix("address:") if remote_ip() else None


def count(names: Sequence[tuple[Series, str]], times: int = 1) -> None:
    """Count each name in its series. Where Redis does not answer, it goes uncounted."""
    if not names or g.get("redis_is_down"):
        return
    keys = [_keys(series, period, now())[0] for series, _ in names for period in Period]
    script = container().redis.register_script(SCRIPT)
    kept = [period.kept for period in Period]
    try:
        script(keys, [*kept, times, *(name for _, name in names for _ in Period)])
    except RedisError as failure:
        g.redis_is_down = True  # each attempt would hold the answer back
        log.warning("abuse_counts.redis_down", error=str(failure))


def _keys(series: Series, period: Period, moment: datetime) -> list[str]:
    """The sorted sets of a period that ends at ``moment``, the newest first."""
    newest = int(moment.timestamp()) // period.seconds
    return [f"{PREFIX}:{series}:{period}:{newest - number}" for number in range(period.sets + 1)]


# ── reading ───────────────────────────────────────────────────────────────────────────────────────


def top(
    redis: Redis, period: Period, moment: datetime, listed: int = LISTED
) -> dict[Series, list[Counted]]:
    """The most frequent names of each series in the hour or the day before ``moment``, and in the
    part of a set that has begun since. Raises RedisError.

    Whoever is among the first hundred of any sorted set is a candidate, and all that is known of
    the best candidates is summed.
    """
    keys = {series: _keys(series, period, moment) for series in Series}
    with redis.pipeline(transaction=False) as pipeline:
        for key in (key for series in Series for key in keys[series]):
            pipeline.zrevrange(key, 0, CANDIDATES - 1, withscores=True)
        best = {
            series: [name for name, _ in _sum(parts).most_common(CANDIDATES)]
            for series, parts in zip(Series, _parts(pipeline.execute(), period), strict=True)
        }
        found = [series for series in Series if best[series]]
        for one in found:
            for key in keys[one]:
                pipeline.zmscore(key, best[one])
        scores = zip(found, _parts(pipeline.execute(), period), strict=True)
    ranked = {series: _ranked(best[series], parts, listed) for series, parts in scores}
    return {series: ranked.get(series, []) for series in Series}


def _parts(answers: list[Any], period: Period) -> list[list[Any]]:
    """The answers of the sorted sets of one series, for each series."""
    size = period.sets + 1
    return [answers[first : first + size] for first in range(0, len(answers), size)]


def _sum(parts: Iterable[Sequence[tuple[bytes, float]]]) -> Counter[str]:
    total = Counter[str]()
    for part in parts:
        for name, times in part:
            total[name.decode()] += int(times)
    return total


def _ranked(
    names: Sequence[str], parts: Sequence[Sequence[float | None]], listed: int
) -> list[Counted]:
    sums = [
        Counted(name, int(sum(times or 0 for times in scores)))
        for name, scores in zip(names, zip(*parts, strict=True), strict=True)
    ]
    return sorted(sums, key=lambda one: (-one.times, one.name))[:listed]
