"""``/admin/users``: people, and which of them are staff."""

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.errors import NotFound
from app.extensions import transaction
from app.models import StaffRole
from app.services.staff import duties, users
from app.services.staff.duties import Duty
from app.services.staff.user_changes import NOBODY
from app.services.staff.users import Wanted
from app.tenancy import unscoped
from app.web.context import now
from app.web.requirements import Staff, requires
from app.web.sessions import person

blueprint = Blueprint("users", __name__)
MAX_ID = 32


@blueprint.get("/users")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    wanted = Wanted.read(request.args)
    before = request.args.get("before", "").replace("\0", "")[:MAX_ID]
    with transaction() as session:
        found = users.page_of(session, wanted, before)
    query = wanted.as_query
    return admin_page(
        "admin/users/index.html",
        rows=found.rows,
        wanted=wanted,
        is_filtered=bool(query),
        older=found.next and f"?{urlencode({**query, 'before': found.next})}",
        newest=f"?{urlencode(query)}" if before else None,
    )


@blueprint.get("/users/<user_id>")
@requires(Staff(Duty.LOOK))
def show(user_id: str) -> Response:
    with transaction() as session, unscoped(session, "a person and their organizations"):
        profile = users.profile_of(session, user_id, now())
    if profile is None:
        raise NotFound(NOBODY)
    return admin_page(
        "admin/users/show.html",
        profile=profile,
        user=profile.user,
        roles=list(StaffRole),
        is_oneself=person().user_id == user_id,
        asked=request.args.get("confirm", ""),
    )


@blueprint.get("/roles")
@requires(Staff(Duty.LOOK))
def show_roles() -> Response:
    """The table of duties."""
    return admin_page(
        "admin/users/roles.html", duties=list(Duty), roles=list(StaffRole), may=duties.may
    )
