"""``/dashboard/<slug>/playground``: files are compressed while one looks, and nothing is kept."""

from flask import Blueprint, Response

from app.dashboard.frame import page_of
from app.web.requirements import Member, requires

blueprint = Blueprint("playground", __name__, url_prefix="/dashboard/<slug>/playground")


@blueprint.get("")
@requires(Member())
def show(slug: str) -> Response:
    return page_of("dashboard/library/playground.html")
