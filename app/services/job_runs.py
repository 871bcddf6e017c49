"""When each periodic job ran last, for how long, and what came of it: one line a job, in Redis."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

RUNS = "lightwell:job_runs"
"""A hash in Redis: name of the job → its last run, as JSON."""
RESULT_CHARACTERS = 500


@dataclass
class Outcome:
    """What a job says of its run while it goes on."""

    result: str = "done"


@dataclass(frozen=True)
class Run:
    """One run of a job. ``result`` is a short sentence, or the kind of error that ended it."""

    name: str
    began: datetime
    ended: datetime
    result: str
    failed: bool

    @property
    def took(self) -> timedelta:
        return self.ended - self.began


def ran(
    redis: Redis, name: str, began: datetime, ended: datetime, result: str, *, failed: bool = False
) -> None:
    """Remember a run in place of the one before. Raises RedisError."""
    run = {
        "began": began.isoformat(),
        "ended": ended.isoformat(),
        "result": result[:RESULT_CHARACTERS],
        "failed": failed,
    }
    redis.hset(RUNS, name, json.dumps(run))


def last_runs(redis: Redis) -> list[Run]:
    """The last run of each job, by name. Raises RedisError."""
    runs = []
    for name, value in redis.hgetall(RUNS).items():
        run = json.loads(value)
        began, ended = (datetime.fromisoformat(run[moment]) for moment in ("began", "ended"))
        text = name.decode() if isinstance(name, bytes) else name
        runs.append(Run(text, began, ended, run["result"], run["failed"]))
    return sorted(runs, key=lambda run: run.name)


@contextmanager
def recorded(redis: Redis, name: str, clock: Callable[[], datetime]) -> Iterator[Outcome]:
    """Remember how the block went. Where Redis does not answer, the block runs unrecorded."""
    began, outcome = clock(), Outcome()
    failed = True
    try:
        yield outcome
        failed = False
    except BaseException as error:
        # Messages may hold what is nobody's business; the log has them.
        outcome.result = type(error).__name__
        raise
    finally:
        try:
            ran(redis, name, began, clock(), outcome.result, failed=failed)
        except RedisError as error:
            log.warning("job_runs.redis_down", job=name, error=str(error))
