"""``/invitations/<token>``: what an invitation's mail leads to. Opening it changes nothing, because
mail scanners open links too."""

from flask import Blueprint, flash, redirect, request
from flask import Response as Page
from werkzeug.wrappers import Response

from app.errors import BadRequest, Conflict, Forbidden, NotFound
from app.extensions import transaction
from app.services.accounts import invitations
from app.services.accounts.invitations import Invited
from app.web import sessions
from app.web.context import now
from app.web.page_forms import refused
from app.web.pages import page
from app.web.requirements import Visitor, requires

blueprint = Blueprint("invitations", __name__)


@blueprint.errorhandler(NotFound)
def gone(refusal: NotFound) -> Page:
    return refused(page("dashboard/team/gone.html", message=refusal.message), refusal)


@blueprint.get("/invitations/<token>")
@requires(Visitor())
def show(token: str) -> Response:
    return _page(_find(token))


@blueprint.post("/invitations/<token>")
@requires(Visitor())
def accept(token: str) -> Response:
    invited = _find(token)
    try:
        if sessions.signed_in_person():
            _join(token, invited)
        else:
            _open_account(token, invited)
    except (BadRequest, Conflict, Forbidden) as refusal:
        return refused(_page(invited, problem=refusal.message), refusal)
    flash(f"You are in {invited.organization} now.")
    return redirect(f"/dashboard/{invited.slug}", 303)


def _find(token: str) -> Invited:
    with transaction() as session:
        return invitations.find(session, token, now())


def _join(token: str, invited: Invited) -> None:
    address = sessions.device().address
    with transaction(invited.org_id) as session:
        invitations.accept(session, token, sessions.person().user_id, address, now())


def _open_account(token: str, invited: Invited) -> None:
    password, address = request.form.get("password", ""), sessions.device().address
    with transaction(invited.org_id) as session:
        user_id = invitations.open_account(session, token, invited.email, password, address, now())
    sessions.begin(user_id, second_factor=False)


def _page(invited: Invited, problem: str = "") -> Page:
    return page(
        "dashboard/team/invitation.html",
        invited=invited,
        person=sessions.signed_in_person(),
        here=request.path,
        problem=problem,
    )
