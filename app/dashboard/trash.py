"""``/dashboard/<slug>/trash``: deleted images, which can be restored for 30 days."""

from flask import Blueprint, Response

from app.dashboard.frame import page_of
from app.web.requirements import Member, requires

blueprint = Blueprint("trash", __name__, url_prefix="/dashboard/<slug>/trash")


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Response:
    return page_of("dashboard/library/trash.html")
