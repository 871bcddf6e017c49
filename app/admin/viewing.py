"""``/admin/organizations/<org_id>/view``: look at an organization's pages as its members do."""

from flask import Blueprint, flash, redirect, url_for
from werkzeug.wrappers import Response

from app.admin.acting import acting
from app.services.staff import viewing
from app.services.staff.duties import Duty
from app.web.context import now
from app.web.requirements import Staff, requires
from app.web.sessions import person

blueprint = Blueprint("viewing", __name__)


@blueprint.post("/organizations/<org_id>/view")
@requires(Staff(Duty.VIEW_AS))
def begin(org_id: str) -> Response:
    with acting("organization.viewed", org_id=org_id) as act:
        slug = viewing.begin(act.session, person(), act.actor, act.now)
        act.after = {"until": act.now + viewing.LASTS}
    return redirect(url_for("dashboard.overview.show", slug=slug), 303)


@blueprint.post("/viewing/end")
@requires(Staff(Duty.VIEW_AS))
def end() -> Response:
    org_id = viewing.viewed(person(), now())
    with acting("organization.left", org_id=org_id) as act:
        viewing.end(act.session, person())
    flash("You have left the organization's pages.")
    return redirect(f"/admin/organizations/{org_id}" if org_id else "/admin", 303)
