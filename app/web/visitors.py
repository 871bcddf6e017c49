"""What may be tried without an account: three files a day from one address, each as often as one
likes within reason (docs/decisions/040).

The counts are in Redis, so all processes share them. When Redis does not answer, files are refused
with 503 (docs/decisions/003), and pages leave the count out.
"""

import hmac
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta

from redis.exceptions import RedisError

from app.errors import NotFound, RateLimited, TrialOver
from app.services.accounts.principal import MEGABYTE
from app.web import limits
from app.web.context import container, now

FILES_A_DAY = 3
FILE_BYTES = 5 * MEGABYTE
RUNS_A_DAY = 60
"""How often these files may be sent, with whatever settings, and how often files that fail."""
GROUP = "visitors"
"""All visitors together wait for one turn, beside those of the organizations."""
PREFIX = "lightwell:visitors"
KEPT_SECONDS = 26 * 60 * 60
RUNS = b"runs"

SCRIPT = b"""
redis.call('hsetnx', KEYS[1], ARGV[2], 0)
redis.call('expire', KEYS[1], ARGV[5])
if redis.call('hincrby', KEYS[1], ARGV[2], 1) > tonumber(ARGV[4]) then
    return 'runs'
end
if redis.call('hexists', KEYS[1], ARGV[1]) == 0
    and redis.call('hlen', KEYS[1]) > tonumber(ARGV[3]) then
    return 'files'
end
redis.call('hincrby', KEYS[1], ARGV[1], 1)
return 'ok'
"""
"""Count one run of a file: each field but that of the runs is a file of today, with the number of
its runs that have not failed."""
GIVE_BACK = b"""
if redis.call('hincrby', KEYS[1], ARGV[1], -1) < 1 then
    redis.call('hdel', KEYS[1], ARGV[1])
end
"""


def left() -> int | None:
    """How many more files the visitor may try today; None if Redis does not answer."""
    try:
        names = container().redis.hkeys(_key())
    except RedisError:
        return None
    return max(0, FILES_A_DAY - len({*names} - {RUNS}))


def count_run() -> None:
    """Count a run of a file that is none of the visitor's own. Raises RateLimited."""
    with container().redis.pipeline() as pipeline:
        pipeline.hincrby(_key(), RUNS, 1)
        pipeline.expire(_key(), KEPT_SECONDS)
        runs, _ = pipeline.execute()
    if runs > RUNS_A_DAY:
        raise _too_often()


def check_runs() -> None:
    """Raises RateLimited if the visitor has sent as much as one may in a day, whatever it is."""
    if int(container().redis.hget(_key(), RUNS) or 0) >= RUNS_A_DAY:
        raise _too_often()


@contextmanager
def counted(digest: str) -> Iterator[None]:
    """Count a file, unless it was counted today or the block fails. Raises TrialOver,
    RateLimited."""
    name = _name(digest)
    script = container().redis.register_script(SCRIPT)
    verdict = script([_key()], [name, RUNS, FILES_A_DAY, RUNS_A_DAY, KEPT_SECONDS])
    if verdict == RUNS:
        raise _too_often()
    if verdict == b"files":
        raise TrialOver(
            f"Without an account you can try {FILES_A_DAY} files a day, and today's are used up. "
            "Open a free account to go on, or come back after midnight (UTC).",
            headers=_until_midnight(),
        )
    try:
        yield
    except BaseException:
        container().redis.register_script(GIVE_BACK)([_key()], [name])
        raise


@contextmanager
def tried_before(digest: str) -> Iterator[None]:
    """Count another run of a file that was counted today. Raises NotFound, RateLimited."""
    if not container().redis.hexists(_key(), _name(digest)):
        raise NotFound("Compress the file first; its original is shown beside the result.")
    with counted(digest):
        yield


def _key() -> str:
    return f"{PREFIX}:{now().date()}:{limits.network(32)}"


def _name(digest: str) -> str:
    """Tells a file from others without telling which it is."""
    secret = container().settings.secret_key.encode()
    return hmac.digest(secret, f"tried file {digest}".encode(), "sha256").hex()


def _too_often() -> RateLimited:
    return RateLimited(
        f"You have sent files {RUNS_A_DAY} times today, the most without an account. Open a free "
        "account to go on, or come back after midnight (UTC).",
        headers=_until_midnight(),
    )


def _until_midnight() -> dict[str, str]:
    midnight = datetime.combine(now().date() + timedelta(days=1), time(), UTC)
    return {"Retry-After": str(math.ceil((midnight - now()).total_seconds()))}
