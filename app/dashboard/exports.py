"""``/dashboard/<slug>/exports``: many images, transformed, in one ZIP."""

from flask import Blueprint, Response

from app.dashboard.frame import page_of
from app.web.requirements import Member, requires

blueprint = Blueprint("exports", __name__, url_prefix="/dashboard/<slug>/exports")


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Response:
    return page_of("dashboard/library/exports.html")
