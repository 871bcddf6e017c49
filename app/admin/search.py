"""``/admin/search``: one box for everything that has an id."""

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.services.staff.duties import Duty
from app.web.requirements import Staff, requires

blueprint = Blueprint("search", __name__)


@blueprint.get("/search")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    return admin_page("admin/search.html", query=request.args.get("q", "").strip())
