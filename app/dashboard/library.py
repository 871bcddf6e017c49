"""``/dashboard/<slug>/library``: the images of an organization, to find, choose and sort."""

from flask import Blueprint, Response

from app.dashboard.frame import page_of
from app.web.requirements import Member, requires

blueprint = Blueprint("library", __name__, url_prefix="/dashboard/<slug>/library")


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Response:
    return page_of("dashboard/library/library.html")
