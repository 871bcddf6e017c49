"""``/account``: the signed-in user."""

from flask import Blueprint, Response

from app.extensions import transaction
from app.models import Role
from app.services.accounts import identity
from app.web.context import principal
from app.web.pages import page
from app.web.requirements import User, requires

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@requires(User(Role.VIEWER))
def show() -> Response:
    with transaction() as session:
        profile = identity.profile_of(session, principal())
    return page("dashboard/account.html", profile=profile, role=principal().role)
