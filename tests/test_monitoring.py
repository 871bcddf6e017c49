"""``/metrics``: who may read it, that Prometheus can, and that boards and alerts ask for what is
there."""

import json
import re
from typing import Any

import pytest
import yaml
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as NotReached

from app.adapters.queue import QUEUES, enqueue_mails
from app.services import metrics
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import ROOT, Account, AppMaker

TOKEN = "a-token-of-a-scraper"
METRIC = re.compile(r"lightwell_[a-z_]+")


@pytest.fixture(scope="module")
def scraped(make_app: AppMaker) -> Flask:
    """An application that knows a token."""
    return make_app(metrics_token=TOKEN)


@pytest.fixture
def scraper(scraped: Flask, clock: Clock) -> ApiClient:
    redis = scraped.extensions["lightwell"].redis
    for key in redis.scan_iter(f"{metrics.TOTAL}*"):
        redis.delete(key)
    metrics.OWN.take()
    client = scraped.test_client()
    assert isinstance(client, ApiClient)
    return client


def scrape(client: ApiClient) -> dict[str, Any]:
    answer = client.get("/metrics", headers=bearer(TOKEN))
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def values(family: Any, *labels: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for sample in family.samples
        if sample.name in (family.name, f"{family.name}_total")
    }


def test_prometheus_reads_what_was_counted(scraper: ApiClient) -> None:
    scraper.get("/usage")
    scraper.get("/usage")
    scraper.get("/nowhere/at/all")
    scraper.get("/healthz")
    metrics.count_images("compress", "live", 7)
    families = scrape(scraper)
    requests = values(families["lightwell_requests"], "method", "route", "status")
    assert requests == {("GET", "/usage", "401"): 2, ("GET", "none", "404"): 1}
    assert values(families["lightwell_images"], "kind", "mode") == {("compress", "live"): 7}
    refusals = values(families["lightwell_refusals"], "code")
    assert refusals == {("unauthenticated",): 2, ("not_found",): 1}
    samples = families["lightwell_request_seconds"].samples
    whole = [one for one in samples if one.labels == {"route": "/usage", "le": "+Inf"}]
    assert [one.value for one in whole] == [2]
    assert [
        one.value
        for one in samples
        if one.name.endswith("_count") and one.labels["route"] == "/usage"
    ] == [2]
    up = values(families["lightwell_up"], "part")
    assert up == {("database",): 1, ("redis",): 1, ("storage",): 1}


def test_queues_are_told_with_their_age(scraper: ApiClient, scraped: Flask) -> None:
    redis = scraped.extensions["lightwell"].redis
    redis.delete("rq:queue:default")
    enqueue_mails(redis)
    try:
        families = scrape(scraper)
    finally:
        redis.delete("rq:queue:default")
    assert values(families["lightwell_queue_jobs"], "queue")["default",] == 1
    for name in ("lightwell_queue_age_seconds", "lightwell_workers"):
        assert values(families[name], "queue").keys() == {(queue,) for queue in QUEUES}


def test_only_who_has_the_token_or_comes_from_the_network_may_read(
    client: ApiClient, scraper: ApiClient, acme: Account, make_app: AppMaker
) -> None:
    nothing = client.get("/metricsx").json | {"requestId": ""}
    sent = [{}, bearer(TOKEN[:-1]), bearer(TOKEN + "x"), bearer("ü"), {"X-Api-Key": TOKEN}]
    for one, headers in [(client, bearer(TOKEN)), (client, bearer(acme.key))] + [
        (scraper, headers) for headers in sent
    ]:
        answer = one.get("/metrics", headers=headers)
        assert answer.status_code == 404
        body = json.loads(answer.text.replace("/metrics.", "/metricsx."))
        assert body | {"requestId": ""} == nothing
    near = make_app(metrics_networks="127.0.0.0/8").test_client()
    assert near.get("/metrics").status_code == 200
    far = {"REMOTE_ADDR": "203.0.113.9"}
    assert near.get("/metrics", environ_overrides=far).status_code == 404


def test_without_redis_it_tells_that(
    scraper: ApiClient, scraped: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise NotReached("gone")

    redis = scraped.extensions["lightwell"].redis
    monkeypatch.setattr(redis, "execute_command", down)
    monkeypatch.setattr(redis, "pipeline", down)
    families = scrape(scraper)
    assert set(families) == {"lightwell_info", "lightwell_up"}
    assert values(families["lightwell_up"], "part")["redis",] == 0


def test_boards_and_alerts_name_what_there_is(scraper: ApiClient) -> None:
    scraper.get("/usage")
    metrics.count_images("compress", "live", 1)
    there = {
        sample.name: set(sample.labels)
        for family in scrape(scraper).values()
        for sample in family.samples
    }
    folder = ROOT / "docs" / "monitoring"
    board = json.loads((folder / "grafana.json").read_text())
    rules = yaml.safe_load((folder / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in rules]
    assert len(asked) > 15
    for expression in asked:
        named = METRIC.findall(expression)
        assert named, expression
        assert set(named) <= set(there), expression
        labels = set.union(*(there[name] for name in named))
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= labels, expression
        for matcher in re.findall(r'(\w+)=~?"', expression):
            assert matcher in labels, expression
    described = set(METRIC.findall((folder / "README.md").read_text()))
    families = {name.removesuffix("_bucket") for name in there}
    assert {name for name in described if name not in families} == set()
