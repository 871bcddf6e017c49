"""What processes count adds up in Redis, and quantiles are estimated as Prometheus does."""

from bisect import bisect_left
from datetime import timedelta

import numpy as np
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as NotReached
from redis.exceptions import TimeoutError as Silent

from app.services import metrics
from app.services.metrics import BOUNDS, MINUTE, QUARTER, Figures
from tests.clock import NOON

SECONDS = st.floats(0, 60, exclude_min=True)


@pytest.fixture
def redis(app: Flask) -> Redis:
    """Nothing is counted yet, neither there nor in this process."""
    redis: Redis = app.extensions["lightwell"].redis
    for key in redis.scan_iter(f"{metrics.TOTAL}*"):
        redis.delete(key)
    metrics.OWN.take()
    return redis


def buckets_of(observed: list[float]) -> list[int]:
    buckets = [0] * (len(BOUNDS) + 1)
    for seconds in observed:
        buckets[bisect_left(BOUNDS, seconds)] += 1
    return buckets


def test_processes_add_to_the_same_counts(redis: Redis) -> None:
    for seconds in (0.02, 0.02, 90.0):
        metrics.count_request("GET", "/v1/images/<id>", 200, seconds, None)
        metrics.flush(redis, NOON)
    metrics.count_request("BREW", None, 404, 0.001, "not_found")
    metrics.count_images("compress", "live", 3)
    metrics.flush(redis, NOON)
    metrics.flush(redis, NOON)  # nothing is counted twice
    figures = metrics.totals(redis)
    assert figures.requests == {("GET", "/v1/images/<id>", 200): 3, ("other", "none", 404): 1}
    assert figures.durations["/v1/images/<id>"].buckets == buckets_of([0.02, 0.02, 90.0])
    assert figures.durations["/v1/images/<id>"].seconds == pytest.approx(90.04)
    assert figures.images == {("compress", "live"): 3}
    assert figures.refusals == {"not_found": 1}
    assert (figures.of_class(1, 3), figures.of_class(4, 4), figures.of_class(5)) == (3, 1, 0)


@pytest.mark.parametrize("length", [MINUTE, QUARTER])
def test_periods_hold_what_was_counted_in_them(redis: Redis, length: timedelta) -> None:
    for moment, images in ((NOON, 1), (NOON + length, 2), (NOON + 3 * length, 4)):
        metrics.count_images("compress", "live", images)
        metrics.flush(redis, moment)
    found = metrics.periods(redis, NOON + 3 * length, length, 3)
    assert [began for began, _ in found] == [NOON + number * length for number in (1, 2, 3)]
    assert [metrics.summed([counts]).images.total() for _, counts in found] == [2, 0, 4]
    assert all(redis.ttl(key) > 0 for key in redis.scan_iter(f"{metrics.TOTAL}:*"))
    assert redis.ttl(metrics.TOTAL) == -1


def test_the_longest_wait_of_a_period_counts(redis: Redis) -> None:
    for age in (3.0, 40.0, 5.0):
        metrics.sample_ages(redis, {"default": age, "exports": 0.0}, NOON)
    [(_, counts)] = metrics.periods(redis, NOON, MINUTE, 1)
    assert metrics.summed([counts]).ages == {"default": 40, "exports": 0}
    assert metrics.totals(redis) == Figures()


@pytest.mark.parametrize(("failure", "kept"), [(NotReached, 1), (Silent, 0)])
def test_counts_wait_for_redis_but_are_never_counted_twice(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, failure: type[Exception], kept: int
) -> None:
    def down(*_: object, **__: object) -> None:
        raise failure("gone")

    metrics.count_images("compress", "live", 1)
    with monkeypatch.context() as broken:
        broken.setattr("redis.client.Pipeline.execute", down)
        metrics.flush(redis, NOON)
    metrics.flush(redis, NOON)
    assert metrics.totals(redis).images.total() == kept


@given(st.lists(SECONDS, min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(observed: list[float], share: float) -> None:
    """numpy knows all observations; the estimate knows only how many there are in each bucket."""
    true = float(np.quantile(observed, share, method="inverted_cdf"))
    number = bisect_left(BOUNDS, true)
    estimate = metrics.quantile(share, buckets_of(observed))
    assert estimate is not None
    lower = BOUNDS[number - 1] if number else 0.0
    assert lower <= estimate <= BOUNDS[number] or share * len(observed) == pytest.approx(
        round(share * len(observed))
    )


@given(st.lists(st.integers(1, 1000), min_size=len(BOUNDS), max_size=len(BOUNDS)), st.floats(0, 1))
def test_a_quantile_is_interpolated_evenly(buckets: list[int], share: float) -> None:
    cumulative = np.cumsum([0, *buckets])
    expected = np.interp(share * cumulative[-1], cumulative, [0.0, *BOUNDS])
    assert metrics.quantile(share, [*buckets, 0]) == pytest.approx(expected)


@given(st.lists(st.integers(0, 50), min_size=len(BOUNDS) + 1, max_size=len(BOUNDS) + 1))
def test_quantiles_rise_with_their_share(buckets: list[int]) -> None:
    found = [metrics.quantile(share, buckets) for share in (0.05, 0.5, 0.95, 1.0)]
    if not any(buckets):
        assert found == [None] * 4
    else:
        known = [value for value in found if value is not None]
        assert len(known) == 4
        assert known == sorted(known)


def test_what_lies_beyond_the_last_bound_counts_as_that_bound() -> None:
    assert metrics.quantile(0.95, buckets_of([300.0])) == BOUNDS[-1]
