"""``/dashboard``: leads to an organization, or to making one."""

from flask import Blueprint, redirect, request, url_for
from flask import Response as Page
from werkzeug.wrappers import Response

from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import Actor, ActorKind
from app.services.accounts import organizations
from app.web.context import now
from app.web.page_forms import refused
from app.web.pages import page
from app.web.requirements import User, requires
from app.web.sessions import device, person

blueprint = Blueprint("organizations", __name__)
TEMPLATE = "dashboard/organizations/new.html"


@blueprint.get("/dashboard")
@requires(User())
def home() -> Response:
    with transaction() as session:
        slug = organizations.home_of(session, person())
    if slug is None:
        return redirect(url_for(".new"), 303)
    return redirect(f"/dashboard/{slug}", 303)


@blueprint.get("/dashboard/new")
@requires(User())
def new() -> Response:
    return _form()


@blueprint.post("/dashboard/new")
@requires(User())
def create() -> Response:
    name = request.form.get("name", "")
    actor = Actor(ActorKind.USER, person().user_id, device().address)
    try:
        with transaction() as session:
            organization = organizations.create(session, actor, name, now())
    except (BadRequest, Conflict) as refusal:
        return refused(_form(name, refusal.message), refusal)
    return redirect(f"/dashboard/{organization.slug}", 303)


def _form(name: str = "", problem: str = "") -> Page:
    with transaction() as session:
        has_others = organizations.home_of(session, person()) is not None
    return page(
        TEMPLATE,
        name=name[: organizations.NAME_LENGTH],
        problem=problem,
        longest=organizations.NAME_LENGTH,
        has_others=has_others,
        email=person().email,
    )
