"""``/metrics``: what Prometheus reads (decision 047, docs/monitoring)."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

import structlog
from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from app.adapters.queue import QUEUES, queue_states, worker_states
from app.services import metrics
from app.services.metrics import BOUNDS, Figures
from app.web import measures
from app.web.context import container, now
from app.web.parts import Part, check_parts
from app.web.requirements import Scraper, requires
from app.web.versions import versions

blueprint = Blueprint("monitoring", __name__)
log = structlog.get_logger()


class Collected(Collector):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


@blueprint.get("/metrics")
@requires(Scraper())
def show() -> Response:
    """All figures in Prometheus's text format. Where Redis is down, only which parts answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(_families()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _families() -> Iterator[Metric]:
    yield InfoMetricFamily("lightwell", "What runs here.", versions())
    parts = check_parts()
    yield _up(parts)
    if not all(part.answers for part in parts if part.name == "redis"):
        return
    try:
        measures.writer().flush()
        yield from _counted(metrics.totals(container().redis))
        yield from _queues()
    except RedisError as error:
        log.warning("metrics.redis_down", error=str(error))


def _up(parts: Iterable[Part]) -> Metric:
    up = GaugeMetricFamily("lightwell_up", "Whether a part answers.", labels=["part"])
    for part in parts:
        up.add_metric([part.name], float(part.answers))
    return up


def _counted(figures: Figures) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "lightwell_requests", "Answered requests.", labels=["method", "route", "status"]
    )
    for (method, route, status), count in sorted(figures.requests.items()):
        requests.add_metric([method, route, str(status)], count)
    yield requests

    durations = HistogramMetricFamily(
        "lightwell_request_seconds", "From a request to the begin of its answer.", labels=["route"]
    )
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    for route, spent in sorted(figures.durations.items()):
        counts = list(zip(bounds, accumulate(spent.buckets), strict=True))
        durations.add_metric([route], counts, sum_value=spent.seconds)
    yield durations

    images = CounterMetricFamily(
        "lightwell_images", "Images made and counted.", labels=["kind", "mode"]
    )
    for (kind, mode), count in sorted(figures.images.items()):
        images.add_metric([kind, mode], count)
    yield images

    refusals = CounterMetricFamily(
        "lightwell_refusals", "Requests answered with an error.", labels=["code"]
    )
    for code, count in sorted(figures.refusals.items()):
        refusals.add_metric([code], count)
    yield refusals


def _queues() -> Iterator[Metric]:
    """Raises RedisError."""
    ages = GaugeMetricFamily(
        "lightwell_queue_age_seconds", "How long the first job has waited.", labels=["queue"]
    )
    jobs = GaugeMetricFamily("lightwell_queue_jobs", "Jobs that wait.", labels=["queue"])
    for queue in queue_states(container().redis):
        ages.add_metric([queue.name], queue.age(now()))
        jobs.add_metric([queue.name], queue.jobs)
    yield ages
    yield jobs

    workers = GaugeMetricFamily("lightwell_workers", "Processes of a queue.", labels=["queue"])
    states = worker_states(container().redis)
    for name in QUEUES:
        workers.add_metric([name], sum(name in state.queues for state in states))
    yield workers
