"""``/admin``: what waits for somebody."""

from flask import Blueprint, Response

from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.staff import overview
from app.services.staff.duties import Duty
from app.tenancy import unscoped
from app.web.context import container, now
from app.web.requirements import Staff, requires

blueprint = Blueprint("overview", __name__)


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    redis, moment = container().redis, now()
    with transaction() as session, unscoped(session, "the console's first page"):
        waiting = overview.waiting(session, redis, moment)
        today = overview.today(session, redis, moment)
        entries = overview.last_entries(session)
        problems = overview.problems(session, moment)
    return admin_page(
        "admin/overview.html", waiting=waiting, today=today, entries=entries, problems=problems
    )
