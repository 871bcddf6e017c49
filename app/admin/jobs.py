"""``/admin/jobs``: what waits, runs and failed in the worker, and what staff do about it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from flask import Blueprint, Response, flash, redirect
from redis.exceptions import RedisError
from werkzeug.wrappers import Response as BaseResponse

from app.adapters import queue, queue_jobs
from app.admin.acting import acting
from app.admin.frame import admin_page
from app.errors import DependencyDown, NotFound
from app.extensions import transaction
from app.services.staff import jobs
from app.services.staff.duties import Duty
from app.services.staff.jobs import Work
from app.tenancy import unscoped
from app.web.context import container, now
from app.web.requirements import Staff, requires

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")
HOME = "/admin/jobs"
KINDS = {"live": "live", "test": "test", "data": None}
"""Kinds of exports: batch exports of either mode, and data exports, which have none."""


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    """Without Redis, what the database knows."""
    moment = now()
    work: Work | None = None
    with suppress(RedisError):
        work = jobs.work(container().redis, moment)
    with transaction() as session, unscoped(session, "staff look at exports and mails"):
        exports, exports_total = jobs.exports(session, moment)
        mails, mails_total = jobs.waiting_mails(session)
    return admin_page(
        "admin/jobs/index.html",
        work=work,
        exports=exports,
        exports_total=exports_total,
        mails=mails,
        mails_total=mails_total,
    )


@blueprint.get("/failed/<job_id>")
@requires(Staff(Duty.LOOK))
def show(job_id: str) -> Response:
    with _redis_answers():
        job = jobs.failed_job(container().redis, job_id)
    return admin_page("admin/jobs/show.html", job=job)


@blueprint.post("/failed/<job_id>/retry")
@requires(Staff(Duty.RUN_JOBS))
def retry(job_id: str) -> BaseResponse:
    _with_one(job_id, "job.retried", queue_jobs.retry)
    flash("The job is in its queue again.")
    return redirect(HOME, 303)


@blueprint.post("/failed/<job_id>/drop")
@requires(Staff(Duty.RUN_JOBS))
def drop(job_id: str) -> BaseResponse:
    _with_one(job_id, "job.dropped", queue_jobs.drop)
    flash("The job is dropped.")
    return redirect(HOME, 303)


@blueprint.post("/failed/retry")
@requires(Staff(Duty.RUN_JOBS))
def retry_all() -> BaseResponse:
    flash(f"Jobs in their queues again: {_with_all('jobs.retried', queue_jobs.retry)}.")
    return redirect(HOME, 303)


@blueprint.post("/failed/drop")
@requires(Staff(Duty.RUN_JOBS))
def drop_all() -> BaseResponse:
    flash(f"Jobs dropped: {_with_all('jobs.dropped', queue_jobs.drop)}.")
    return redirect(HOME, 303)


@blueprint.post("/sweep")
@requires(Staff(Duty.RUN_JOBS))
def sweep() -> BaseResponse:
    with _redis_answers(), acting("sweep.started"):
        queue.enqueue_sweep(container().redis)
    flash("A sweep is in the queue. Its result is under Last runs once it has ended.")
    return redirect(HOME, 303)


@blueprint.post("/exports/<org_id>/<kind>/<export_id>/requeue")
@requires(Staff(Duty.RUN_JOBS))
def requeue(org_id: str, kind: str, export_id: str) -> BaseResponse:
    if kind not in KINDS:
        raise NotFound("There are batch exports and data exports.")
    with acting("export.requeued", org_id=org_id, subject=export_id, mode=KINDS[kind]) as act:
        due = jobs.requeue(act.session, kind, export_id, act.now)
    jobs.enqueue(container().redis, due)
    flash("The export is in its queue again.")
    return redirect(HOME, 303)


Change = Callable[..., bool]


def _with_one(job_id: str, action: str, change: Change) -> None:
    """The queue changes before the entry is committed: if Redis does not answer, there is none.
    Raises NotFound, DependencyDown."""
    with _redis_answers(), acting(action, subject=job_id) as act:
        job = jobs.failed_job(container().redis, job_id)
        act.before = {"call": job.call, "error": job.error}
        act.after = dict.fromkeys(act.before)
        if not change(container().redis, job_id):
            raise NotFound("The job has not failed, or not any more.")


def _with_all(action: str, change: Change) -> int:
    """How many jobs it was. Raises DependencyDown."""
    with _redis_answers(), acting(action) as act:
        ids = queue_jobs.failed_ids(container().redis)
        number = sum(change(container().redis, job_id) for job_id in ids)
        act.after = {"jobs": number}
    return number


@contextmanager
def _redis_answers() -> Iterator[None]:
    """Raises DependencyDown."""
    try:
        yield
    except RedisError:
        raise DependencyDown("Redis does not answer, which holds the queues.") from None
