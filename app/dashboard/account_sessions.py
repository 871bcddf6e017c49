"""``/account/sessions``: where a person is signed in."""

from flask import Blueprint, flash, redirect
from werkzeug.wrappers import Response

from app.dashboard.frame import account_page
from app.errors import NotFound
from app.extensions import transaction
from app.services.accounts import sign_ins
from app.web import sessions
from app.web.context import now
from app.web.devices import device_name
from app.web.requirements import User, requires
from app.web.sessions import person

blueprint = Blueprint("account_sessions", __name__)


@blueprint.get("/account/sessions")
@requires(User())
def show() -> Response:
    with transaction() as session:
        rows = sign_ins.list_of(session, person().user_id, now())
    running = [(row, device_name(row.user_agent)) for row in rows]
    return account_page("dashboard/account/sessions.html", sessions=running, person=person())


@blueprint.post("/account/sessions/<sign_in_id>/end")
@requires(User())
def end(sign_in_id: str) -> Response:
    with transaction() as session:
        if not sign_ins.end(session, person().user_id, sign_in_id):
            raise NotFound("This session has ended already.")
    flash("The session has ended.")
    return redirect("/account/sessions", 303)


@blueprint.post("/account/sessions/end-others")
@requires(User())
def end_others() -> Response:
    with transaction() as session:
        sign_ins.end_all(session, person().user_id, but=person().sign_in_id)
    flash("All other sessions have ended.")
    return redirect("/account/sessions", 303)


@blueprint.post("/account/sessions/end-all")
@requires(User())
def end_all() -> Response:
    with transaction() as session:
        sign_ins.end_all(session, person().user_id)
    sessions.end()
    flash("You are signed out everywhere.")
    return redirect("/login", 303)
