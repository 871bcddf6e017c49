"""``/account``: the signed-in person."""

from flask import Blueprint, Response

from app.web.pages import page
from app.web.requirements import User, requires
from app.web.sessions import person

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@requires(User())
def show() -> Response:
    return page("dashboard/account.html", person=person())
