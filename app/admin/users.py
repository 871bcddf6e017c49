"""``/admin/users``: people, and the page of one. ``/admin/roles``: what staff may do."""

from urllib.parse import urlencode

import structlog
from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from app.admin.frame import admin_page
from app.extensions import transaction
from app.models import StaffRole, User
from app.services.outbox import LEASE
from app.services.staff import duties, people
from app.services.staff.duties import Duty
from app.services.staff.people import Filter
from app.services.staff.roles import NONE
from app.web import throttle
from app.web.context import now
from app.web.devices import device_name
from app.web.requirements import Staff, requires
from app.web.sessions import person
from app.web.throttle import Counted

log = structlog.get_logger()
blueprint = Blueprint("users", __name__)
CURSOR_PARTS = 3


@blueprint.get("/users")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    wanted = Filter.read(request.args)
    after = _cursor()
    with transaction() as session:
        found = people.page(session, wanted, after)
    query = wanted.as_query
    following = found.next and {"after": found.next}
    return admin_page(
        "admin/users/index.html",
        people=found.people,
        wanted=wanted,
        kinds=[
            (text, f"?{urlencode({**query, 'kind': kind})}", wanted.kind == kind)
            for kind, text in (("", "All"), ("staff", "Staff"), ("unconfirmed", "Unconfirmed"))
        ],
        next=following and f"?{urlencode({**query, **following}, doseq=True)}",
        first=f"?{urlencode(query)}" if after else None,
    )


@blueprint.get("/users/<user_id>")
@requires(Staff(Duty.LOOK))
def show(user_id: str) -> Response:
    with transaction() as session:
        known = people.find(session, user_id, now())
    return admin_page(
        "admin/users/show.html",
        known=known,
        user=known.user,
        sessions=[(row, device_name(row.user_agent)) for row in known.sessions],
        throttled=_throttled(known.user),
        may_act=_may_act(known.user),
        roles=[(role.value, role.value.capitalize()) for role in StaffRole] + [(NONE, "Not staff")],
        path=f"/admin/users/{known.user.id}",
        asked=request.args.get("confirm", ""),
        soon=now() + LEASE,
    )


@blueprint.get("/roles")
@requires(Staff(Duty.LOOK))
def roles() -> Response:
    return admin_page(
        "admin/users/roles.html", roles=list(StaffRole)[::-1], lowest_roles=duties.LOWEST_ROLES
    )


def _cursor() -> tuple[str, str, str] | None:
    """The cursor of the page; None for the first, and for what is no cursor."""
    parts = [part.replace("\0", "")[: people.MAX_TEXT] for part in request.args.getlist("after")]
    return (parts[0], parts[1], parts[2]) if len(parts) == CURSOR_PARTS else None


def _throttled(user: User) -> list[Counted] | None:
    """What holds the person up; None while that is not known."""
    try:
        return throttle.state(user.email, user.id)
    except RedisError as error:
        log.warning("throttle.unknown", error=str(error))
        return None


def _may_act(user: User) -> bool:
    """Whether to offer actions; ``person_to_change`` decides."""
    who = person()
    return user.id != who.user_id and (user.staff_role is None or who.staff_role is StaffRole.ADMIN)
