"""What staff see of the worker's jobs, and what they may do about those that failed."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.job import Job, JobStatus

from app.adapters import queue_jobs
from app.adapters.queue import DEFAULT
from app.extensions import transaction
from app.models import ActorKind, Export, ExportStatus, StaffRole, new_id
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.rq_jobs import fail_job
from tests.staff import REASON, act, log_of


@pytest.fixture(autouse=True)
def no_jobs(app: Flask) -> None:
    """The queue of the tests is shared."""
    connection = redis_of(app)
    for job_id in queue_jobs.failed_ids(connection):
        queue_jobs.drop(connection, job_id)
    Queue(DEFAULT, connection=connection).empty()


def redis_of(app: Flask) -> Redis:
    connection: Redis = app.extensions["lightwell"].redis
    return connection


def test_a_failed_job_is_shown_without_what_is_secret(app: Flask, staff: ApiClient) -> None:
    trace = (
        "Traceback (most recent call last):\n"
        "OSError: redis://:pa55word@host is down <script>\n"
        "[SQL: UPDATE keys SET x=?]\n[parameters: ('sk_live_secret',)]"
    )
    job_id = fail_job(redis_of(app), "org_1", trace=trace)
    assert job_id in staff.get("/admin/jobs").text
    shown = staff.get(f"/admin/jobs/failed/{job_id}").text
    assert "Traceback (most recent call last)" in shown
    assert "org_1" in shown
    assert "&lt;script&gt;" in shown
    assert "pa55word" not in shown
    assert "sk_live_secret" not in shown


def test_a_job_is_retried_once(app: Flask, staff: ApiClient) -> None:
    job_id = fail_job(redis_of(app))
    assert act(staff, f"/admin/jobs/failed/{job_id}/retry").status_code == 303
    assert Queue(DEFAULT, connection=redis_of(app)).job_ids == [job_id]
    assert Job.fetch(job_id, redis_of(app)).get_status() == JobStatus.QUEUED
    [entry] = log_of(app, staff)
    assert (entry.action, entry.subject, entry.reason) == ("job.retried", job_id, REASON)
    assert act(staff, f"/admin/jobs/failed/{job_id}/retry").status_code == 404
    assert len(log_of(app, staff)) == 1


def test_a_job_is_dropped(app: Flask, staff: ApiClient) -> None:
    job_id, other = fail_job(redis_of(app)), fail_job(redis_of(app))
    assert act(staff, f"/admin/jobs/failed/{job_id}/drop").status_code == 303
    assert queue_jobs.failed_ids(redis_of(app)) == [other]
    assert not Job.exists(job_id, redis_of(app))
    [entry] = log_of(app, staff)
    assert entry.action == "job.dropped"
    assert entry.before["call"].startswith("app.jobs.mails")


@pytest.mark.parametrize(("verb", "waiting"), [("retry", 3), ("drop", 0)])
def test_all_jobs_at_once_are_one_entry(
    app: Flask, staff: ApiClient, verb: str, waiting: int
) -> None:
    for _ in range(3):
        fail_job(redis_of(app))
    assert act(staff, f"/admin/jobs/failed/{verb}").status_code == 303
    assert queue_jobs.failed_ids(redis_of(app)) == []
    assert Queue(DEFAULT, connection=redis_of(app)).count == waiting
    [entry] = log_of(app, staff)
    assert entry.after == {"jobs": 3}


def test_only_so_many_failed_jobs_are_kept(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_jobs, "MOST_FAILED", 2)
    ids = [fail_job(redis_of(app), ttl=100 + number) for number in range(4)]
    assert queue_jobs.trim_failed(redis_of(app)) == 2
    assert queue_jobs.failed_ids(redis_of(app)) == ids[2:]


def test_a_sweep_is_enqueued_once(app: Flask, staff: ApiClient) -> None:
    for _ in range(2):
        assert act(staff, "/admin/jobs/sweep").status_code == 303
    [job_id] = Queue(DEFAULT, connection=redis_of(app)).job_ids
    assert job_id.startswith("sweep-")
    assert job_id in staff.get("/admin/jobs").text


def test_support_only_looks(app: Flask, make_staff: StaffMaker) -> None:
    support, job_id = make_staff(StaffRole.SUPPORT), fail_job(redis_of(app))
    assert "Sweep now" not in support.get("/admin/jobs").text
    assert act(support, f"/admin/jobs/failed/{job_id}/drop").status_code == 403
    assert queue_jobs.failed_ids(redis_of(app)) == [job_id]


def test_without_redis_the_page_says_so(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = add_export(app, acme, clock)
    down = Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    container = app.extensions["lightwell"]
    monkeypatch.setitem(app.extensions, "lightwell", replace(container, redis=down))
    page = staff.get("/admin/jobs")
    assert page.status_code == 200
    assert "Redis does not answer" in page.text
    assert export_id in page.text
    assert act(staff, "/admin/jobs/sweep").status_code == 503
    assert log_of(app, staff) == []


def test_an_export_is_enqueued_once_its_worker_is_lost(
    app: Flask, staff: ApiClient, acme: Account, clock: Clock
) -> None:
    export_id = add_export(app, acme, clock)
    path = f"/admin/jobs/exports/{acme.org_id}/live/{export_id}/requeue"
    assert act(staff, path).status_code == 409
    assert log_of(app, staff) == []
    clock.advance(minutes=1)
    assert "Stuck" in staff.get("/admin/jobs").text
    assert act(staff, path).status_code == 303
    with app.app_context(), transaction(acme.org_id, "live") as session:
        export = session.get_one(Export, export_id)
        assert (export.status, export.lease_until > clock()) == (ExportStatus.QUEUED, True)
    [entry] = log_of(app, staff)
    assert (entry.action, entry.org_id) == ("export.requeued", acme.org_id)


def test_no_export_of_another_organization_or_kind(
    app: Flask, staff: ApiClient, acme: Account, globex: Account, clock: Clock
) -> None:
    export_id = add_export(app, acme, clock)
    clock.advance(minutes=1)
    for org_id, kind in (
        (globex.org_id, "live"),
        (acme.org_id, "test"),
        (acme.org_id, "data"),
        (acme.org_id, "else"),
    ):
        path = f"/admin/jobs/exports/{org_id}/{kind}/{export_id}/requeue"
        assert act(staff, path).status_code == 404
    assert log_of(app, staff) == []


def add_export(app: Flask, account: Account, clock: Clock) -> str:
    """A batch export that a worker has just taken."""
    with app.app_context(), transaction(account.org_id, "live") as session:
        export = Export(
            id=new_id("exp", clock()),
            actor_kind=ActorKind.SYSTEM,
            actor_id=uuid4().hex,
            status=ExportStatus.RUNNING,
            config={},
            asset_ids=[],
            total=7,
            attempt=1,
            lease_until=clock() + timedelta(seconds=10),
            created_at=clock(),
        )
        session.add(export)
        return export.id
