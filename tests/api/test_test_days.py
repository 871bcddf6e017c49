"""How many images an organization's test keys make in a day, by whatever way they ask for them."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import DailyCounter, Mode
from app.services.exports import export_worker
from tests.client import Answer, ApiClient, bearer, client_of
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, AppMaker, DatabaseMaker, KeyMaker
from tests.databases import on_both_databases
from tests.images import encoded
from tests.images_client import ImagesClient, made
from tests.workspace import upload

PER_DAY = 6
EVENING = datetime(2026, 6, 30, 20, tzinfo=UTC)
SETTINGS = {"test_images_per_day": PER_DAY, "ratelimit_test_keys": "100000/minute"}

pytestmark = on_both_databases


@pytest.fixture(scope="module")
def sqlite_app(make_app: AppMaker) -> Flask:
    return make_app(**SETTINGS)


@pytest.fixture(scope="module")
def postgresql_app(make_app: AppMaker, make_database: DatabaseMaker) -> Flask:
    return make_app(**SETTINGS, database_url=make_database())


@pytest.fixture(autouse=True)
def _evening(clock: Clock) -> None:
    clock.set(EVENING)


@pytest.fixture
def account(make_account: AccountMaker) -> Account:
    return make_account(plan="BUSINESS")


@pytest.fixture
def left(app: Flask, account: Account) -> Callable[[], int]:
    """How many images the organization's test keys may still make today; none may be in work."""

    def count() -> int:
        with app.app_context(), transaction(account.org_id) as session:
            day = session.get(DailyCounter, (account.org_id, EVENING.date()))
            assert day is None or day.reserved == 0
            return PER_DAY - (day.used if day else 0)

    return count


def is_refused(answer: Answer) -> bool:
    """With a 429 that says what is used up, and when to come again."""
    assert (answer.status_code, answer.json["code"]) == (429, "rate_limited"), answer.text
    assert f"0 of {PER_DAY} are left for this organization's test keys" in answer.json["error"]
    assert "2026-07-01T00:00:00Z" in answer.json["error"]
    assert 3.9 * 3600 < int(answer.headers["Retry-After"]) <= 4 * 3600
    assert answer.json["type"].endswith("/docs/errors/rate_limited")
    return True


def export_url(client: ApiClient, key: str, asset: dict[str, Any], width: int) -> Answer:
    return client.get(
        f"/api/v1/assets/{asset['id']}/export-url?maxWidth={width}", headers=bearer(key)
    )


def test_all_ways_lead_past_one_counter(
    app: Flask, client: ApiClient, account: Account, left: Callable[[], int], make_key: KeyMaker
) -> None:
    """Two keys of one organization; what fails, is cached or only uploaded counts nothing."""
    other = make_key(account, Mode.TEST, "test_")
    assert client.compress(account.test_key, encoded(), encoded()).status_code == 200
    assert left() == 4
    assert client.compress(other, encoded(), b"no image").status_code == 422
    assert client.compress(other, encoded(), b"no image", partial="true").json["processed"] == 1
    assert left() == 3
    images = ImagesClient(client, other)
    image = images.upload()
    assert left() == 2
    images.make(image, "resize", width=20)
    assert left() == 1
    asset = upload(client, account.test_key)
    for cached in (False, True):
        answer = export_url(client, other, asset, 30)
        assert answer.json["cached"] is cached
        assert "X-Image-Processing-Usage" not in answer.headers
    assert left() == 0

    for key in (account.test_key, other):
        again = ImagesClient(client, key)
        assert is_refused(client.compress(key, encoded()))
        assert is_refused(again.send(encoded(), name="x"))
        assert is_refused(again.post(f"/{image['id']}/blur", sigma=2))
        assert is_refused(again.post("/imagine", prompt="a pond", name="x"))
        assert is_refused(export_url(client, key, asset, 31))
        order = {"assetIds": [asset["id"]], "config": {"format": "webp"}}
        assert is_refused(client.post("/api/v1/exports", headers=bearer(key), json=order))
    assert export_url(client, other, asset, 30).json["cached"]
    assert left() == 0


def test_exports_count_what_they_render(
    app: Flask, client: ApiClient, account: Account, left: Callable[[], int]
) -> None:
    asset = upload(client, account.test_key)
    order = {"assetIds": [asset["id"]], "config": {"format": "webp", "maxWidth": 25}}
    for _ in range(2):
        assert (
            client.post("/api/v1/exports", headers=bearer(account.test_key), json=order).status_code
            == 200
        )
    assert left() == PER_DAY - 1


def test_an_export_that_runs_into_the_limit_says_which_images_are_missing(
    app: Flask, client: ApiClient, account: Account, left: Callable[[], int]
) -> None:
    """The job knows the setting too."""
    assets = [upload(client, account.test_key, encoded(seed=seed)) for seed in range(2)]
    order = {
        "assetIds": [asset["id"] for asset in assets],
        "config": {"format": "webp", "maxWidth": 25},
        "async": True,
    }
    batch = client.post("/api/v1/exports", headers=bearer(account.test_key), json=order).json["id"]
    assert client.compress(account.test_key, *[encoded()] * (PER_DAY - 1)).status_code == 200
    with app.app_context():
        export_worker.work(
            account.org_id, "test", batch, app.extensions["lightwell"].processing_context, PER_DAY
        )
    done = client.get(f"/api/v1/exports/{batch}", headers=bearer(account.test_key)).json
    archive = ZipFile(BytesIO(client.get(done["downloadUrl"]).data))
    (failure,) = json.loads(archive.read("errors.json"))
    assert f"of {PER_DAY} are left" in failure["error"]
    assert len(archive.namelist()) == 2
    assert left() == 0


def test_parallel_requests_never_pass_it(
    app: Flask, client: ApiClient, account: Account, left: Callable[[], int]
) -> None:
    """Each wants two of five."""
    assert client.compress(account.test_key, encoded()).status_code == 200

    def ask(_: int) -> Answer:
        return client_of(app).compress(account.test_key, encoded(), encoded())

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(ask, range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 10
    assert left() == 1


def test_live_keys_know_nothing_of_it_and_the_next_day_begins_anew(
    client: ApiClient, clock: Clock, account: Account, left: Callable[[], int]
) -> None:
    full = client.compress(account.test_key, *[encoded()] * PER_DAY)
    assert full.status_code == 200
    assert "X-Image-Processing-Usage" not in full.headers
    for key in (account.key, account.test_key):
        assert client.get("/usage", headers=bearer(key)).json["used"] == 0
    live = client.compress(account.key, *[encoded()] * (PER_DAY + 1))
    assert (live.json["usage"]["used"], live.headers["X-Image-Processing-Usage"]) == (
        PER_DAY + 1,
        str(PER_DAY + 1),
    )
    assert is_refused(client.compress(account.test_key, encoded()))
    clock.advance(hours=4)
    assert client.compress(account.test_key, *[encoded()] * PER_DAY).status_code == 200
    assert client.get("/usage", headers=bearer(account.key)).json["used"] == 0
    assert left() == 0


def test_a_repeated_request_counts_once_and_a_refused_one_may_come_again(
    client: ApiClient, clock: Clock, account: Account, left: Callable[[], int]
) -> None:
    once = {"Idempotency-Key": "one"}
    for _ in range(2):
        assert (
            client.compress(account.test_key, *[encoded()] * PER_DAY, headers=once).status_code
            == 200
        )
    assert left() == 0
    assert is_refused(
        client.compress(account.test_key, encoded(), headers={"Idempotency-Key": "two"})
    )
    clock.advance(hours=4)
    assert (
        client.compress(account.test_key, encoded(), headers={"Idempotency-Key": "two"}).status_code
        == 200
    )


def test_a_painted_sample_counts(
    client: ApiClient, account: Account, left: Callable[[], int]
) -> None:
    made(ImagesClient(client, account.test_key).post("/imagine", prompt="a pond", name="x"))
    assert left() == PER_DAY - 1
