"""``/admin/stripe/reconcile``: what differs from the payment provider, and mending it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Blueprint, Response, flash, redirect, request
from redis.exceptions import RedisError
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import acting, staff_actor
from app.admin.frame import admin_page
from app.errors import DependencyDown
from app.services.staff import reconcile
from app.services.staff.duties import Duty
from app.services.staff.reconcile import MOST, Going, Report
from app.web.context import container, now, require_provider
from app.web.requirements import Staff, requires

blueprint = Blueprint("reconcile", __name__, url_prefix="/stripe/reconcile")
HOME = "/admin/stripe/reconcile"
PAGE = 50
MAX_ID = 255


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    """Without Redis, the page says that nothing is known."""
    going: Going | None = None
    report: Report | None = None
    answers = False
    number = min(max(request.args.get("page", 0, type=int), 0), MOST // PAGE)
    first = number * PAGE
    with suppress(RedisError):
        going, report = reconcile.going(container().redis), reconcile.report(container().redis)
        answers = True
    return admin_page(
        "admin/stripe/reconcile.html",
        going=going,
        report=report,
        shown=report.differences[first : first + PAGE] if report else (),
        newer=f"?page={number - 1}" if number else None,
        older=f"?page={number + 1}" if report and report.differences[first + PAGE :] else None,
        answers=answers,
        is_configured=container().provider is not None,
    )


@blueprint.post("")
@requires(Staff(Duty.MEND_BILLING))
def start() -> BaseResponse:
    require_provider()
    with _redis_answers(), acting("billing.compared"):
        reconcile.ask(container().redis, now())
    flash("The comparison is in the queue. Its result stays on this page for a day.")
    return redirect(HOME, 303)


@blueprint.post("/mend")
@requires(Staff(Duty.MEND_BILLING))
def mend() -> BaseResponse:
    """The provider is asked first, outside of any transaction: that changes nothing, neither here
    nor there, and may take seconds. Its answer and the entry are then written in one transaction,
    so there is no change without an entry and no entry without a change. Should the subscription
    have changed in between, the answer is refused (``BillingAccount.revision``), and nothing is
    written."""
    provider = require_provider()
    org_id, customer_id = _text("org_id"), _text("customer_id") or None
    with _redis_answers():
        difference = reconcile.find(container().redis, org_id, customer_id)
    with container().outbound_calls.admitted(staff_actor().id):
        snapshot = reconcile.ask_provider(provider, difference)
    with acting("billing.mended", org_id=org_id, subject=customer_id) as act:
        outcome = reconcile.mend(act.session, provider, snapshot, act.actor)
        act.before = {"problem": difference.problem, "outcome": None}
        act.after = {"problem": None, "outcome": outcome}
    with suppress(RedisError):  # it only marks the line; the next comparison knows better
        reconcile.note_mended(container().redis, org_id)
    flash(f"Mended: {outcome}.")
    return redirect(HOME, 303)


def _text(name: str) -> str:
    return request.form.get(name, "").replace("\0", "").strip()[:MAX_ID]


@contextmanager
def _redis_answers() -> Iterator[None]:
    """Raises DependencyDown."""
    try:
        yield
    except RedisError:
        raise DependencyDown("Redis does not answer, which keeps the comparison.") from None
