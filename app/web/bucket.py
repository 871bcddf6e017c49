"""A token bucket as a strategy for Flask-Limiter, which has only windows (docs/decisions/018).

``20 per 10 seconds`` is a bucket that holds 20 requests and fills at 2 a second.
"""

import math
import time
from typing import cast

from limits import RateLimitItem, WindowStats
from limits.storage import RedisStorage, StorageTypes
from limits.strategies import STRATEGIES, RateLimiter

from app.web.context import now

STRATEGY = "token-bucket"

SCRIPT = b"""
local capacity, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local now, cost = tonumber(ARGV[3]), tonumber(ARGV[4])
local bucket = redis.call('hmget', KEYS[1], 'missing', 'at')
local missing, at = tonumber(bucket[1]) or 0, tonumber(bucket[2]) or now
-- A machine whose clock is behind the last one's adds nothing, and takes nothing back.
missing = math.max(0, missing - math.max(0, now - at) * capacity / window)
if cost > 0 and missing + cost <= capacity then
    missing = missing + cost
    redis.call('hset', KEYS[1], 'missing', missing, 'at', math.max(at, now))
    redis.call('pexpire', KEYS[1], window + 60000)
    return {1, tostring(missing)}
end
return {0, tostring(missing)}
"""
"""Atomically take ``cost`` requests if the bucket holds that many. Returns whether it did, and how
many requests the bucket then lacks.

Times are in milliseconds, so that the level is exact for a bucket that fills at an integer rate.
"""


class TokenBucket(RateLimiter):
    """Allows ``amount`` requests at once, and refills one by one, ``amount`` in ``expiry``
    seconds."""

    def __init__(self, storage: StorageTypes) -> None:
        super().__init__(storage)
        self._redis = cast(RedisStorage, storage)
        self._script = self._redis.get_connection().register_script(SCRIPT)

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._ask(item, identifiers, cost)[0]

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self.get_window_stats(item, *identifiers).remaining >= cost

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return how many requests are left, and when the next one is added: now if the bucket is
        full."""
        _, missing = self._ask(item, identifiers, 0)
        until_next = missing - math.ceil(missing - 1) if missing else 0
        wait = until_next * item.get_expiry() / item.amount
        return WindowStats(time.time() + wait, math.floor(item.amount - missing))

    def _ask(
        self, item: RateLimitItem, identifiers: tuple[str, ...], cost: int
    ) -> tuple[bool, float]:
        key = self._redis.prefixed_key(f"bucket/{item.key_for(*identifiers)}")
        moment = int(now().timestamp() * 1000)
        taken, missing = self._script([key], [item.amount, item.get_expiry() * 1000, moment, cost])
        return bool(taken), float(missing)


STRATEGIES[STRATEGY] = TokenBucket  # type: ignore[assignment]  # the library types only its own three strategies
