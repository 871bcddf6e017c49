"""``/dashboard/<slug>/presets``: transformations under a name."""

from flask import Blueprint, Response

from app.dashboard.frame import page_of
from app.web.requirements import Member, requires

blueprint = Blueprint("presets", __name__, url_prefix="/dashboard/<slug>/presets")


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Response:
    return page_of("dashboard/library/presets.html")
