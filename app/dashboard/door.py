"""Signing in and out."""

from flask import Blueprint, flash, redirect, request
from flask import Response as Page
from werkzeug.wrappers import Response

from app.errors import AppError, BadRequest, RateLimited
from app.extensions import transaction
from app.services.accounts import credentials
from app.web import abuse_counts, sessions, throttle
from app.web.links import next_path
from app.web.page_forms import problems_of, refused
from app.web.pages import page
from app.web.requirements import User, Visitor, requires
from app.web.sessions import person

blueprint = Blueprint("door", __name__)
WRONG = (
    "The e-mail address or the password is wrong, or the address is not confirmed yet. If you have "
    "just signed up, open the link in our mail first."
)


@blueprint.get("/login")
@requires(Visitor())
def show() -> Response:
    if sessions.signed_in_person():
        return redirect(wanted_path())
    return _sign_in_form()


@blueprint.post("/login")
@requires(Visitor())
def sign_in() -> Response:
    email, password = request.form.get("email", ""), request.form.get("password", "")
    tries = throttle.account(email), throttle.address()
    try:
        throttle.attempt(*tries)
    except RateLimited as refusal:
        return _sign_in_form(refusal)
    with transaction() as session:
        proven = credentials.check(session, email, password)
    if proven is None:
        abuse_counts.count_wrong_password()
        return _sign_in_form(BadRequest(WRONG))
    throttle.succeeded(*tries)
    return enter(proven.user_id, wanted_path(), needs_code=proven.needs_code)


def enter(user_id: str, next_path: str, *, needs_code: bool) -> Response:
    """Begin the session of who has shown a password; with a one-time code, only after that."""
    if needs_code:
        sessions.begin_half(user_id, next_path)
        return redirect("/login/code", 303)
    sessions.begin(user_id, second_factor=False)
    throttle.remember_network(person().email)
    return redirect(next_path, 303)


def wanted_path() -> str:
    """Where the visitor wanted to go."""
    return next_path(request.args.get("next"))


@blueprint.get("/login/again")
@requires(User())
def show_again() -> Response:
    return _again_form()


@blueprint.post("/login/again")
@requires(User())
def sign_in_again() -> Response:
    tries = throttle.session(person().sign_in_id)
    try:
        throttle.attempt(tries)
    except RateLimited as refusal:
        return _again_form(refusal)
    with transaction() as session:
        password = request.form.get("password", "")
        right = credentials.is_own_password(session, person().user_id, password)
    if not right:
        return _again_form(
            BadRequest("The password is wrong.", errors=["password: is not the account's."])
        )
    throttle.succeeded(tries)
    sessions.renew()
    return redirect(wanted_path(), 303)


@blueprint.post("/logout")
@requires(Visitor())
def sign_out() -> Response:
    sessions.end()
    flash("You are signed out.")
    return redirect("/login", 303)


def _sign_in_form(refusal: AppError | None = None) -> Page:
    form = page(
        "dashboard/door/login.html",
        email=request.form.get("email", ""),
        next_path=wanted_path(),
        problems=problems_of(refusal),
    )
    return refused(form, refusal)


def _again_form(refusal: AppError | None = None) -> Page:
    form = page(
        "dashboard/door/again.html",
        person=person(),
        next_path=wanted_path(),
        problems=problems_of(refusal),
    )
    return refused(form, refusal)
