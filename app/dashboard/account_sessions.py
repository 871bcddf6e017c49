"""``/account/sessions``: where a person is signed in."""

import re

from flask import Blueprint, flash, redirect
from werkzeug.wrappers import Response

from app.dashboard.frame import account_page
from app.errors import NotFound
from app.extensions import transaction
from app.services.accounts import sign_ins
from app.web import sessions
from app.web.context import now
from app.web.requirements import User, requires
from app.web.sessions import person

blueprint = Blueprint("account_sessions", __name__)
BROWSERS = {
    "Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung Internet", "Firefox": "Firefox",
    "FxiOS": "Firefox", "CriOS": "Chrome", "Chrome": "Chrome", "HeadlessChrome": "Chrome",
    "Safari": "Safari", "curl": "curl",
}  # fmt: skip
"""What a user agent says → the browser's name. The first that is found counts, because most say
the names of others too."""
SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
    "Mac OS X": "macOS", "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


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


def device_name(user_agent: str) -> str:
    """``Firefox on Linux``, as far as the browser tells."""
    browser = _first(BROWSERS, user_agent) or "A browser"
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(names: dict[str, str], user_agent: str) -> str | None:
    return next(
        (name for mark, name in names.items() if re.search(rf"\b{mark}\b", user_agent)), None
    )
