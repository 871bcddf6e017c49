"""``/admin``: what waits for somebody."""

from flask import Blueprint, Response

from app.admin.frame import admin_page
from app.services.staff.duties import Duty
from app.web.requirements import Staff, requires

blueprint = Blueprint("overview", __name__)


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    return admin_page("admin/overview.html")
