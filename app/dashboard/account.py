"""``/account``: the signed-in person."""

from flask import Blueprint, Response

from app.dashboard.frame import account_page
from app.web.requirements import User, requires
from app.web.sessions import person

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@requires(User())
def show() -> Response:
    return account_page("dashboard/account.html", person=person())
