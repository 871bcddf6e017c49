"""``/account/security``: how the signed-in person proves who they are."""

from datetime import timedelta

import segno
from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.dashboard.frame import account_page
from app.errors import AppError, BadRequest, Conflict, Forbidden
from app.extensions import transaction
from app.services.accounts import one_time_codes, security
from app.web import sessions
from app.web.context import container, now
from app.web.page_forms import refused, sign, signed
from app.web.requirements import READING, User, requires

blueprint = Blueprint("security", __name__, url_prefix="/account/security")

ENROLMENT, ENROLMENT_VALID = "authenticator app", timedelta(minutes=10)
"""The form holds the secret of an app that is not confirmed yet. It shows the secret anyway, so the
server need not keep it."""
INK, PAPER = "#1b1611", "#ffffff"
"""Apps read dark codes on a light ground only, in dark themes too."""


@blueprint.before_request
def keep_staff_s_factor() -> None:
    """A password alone adds and removes nothing of staff who have a second factor. Otherwise who
    knows it could add a factor of their own, and would count as staff. Raises Forbidden."""
    who = sessions.person()
    is_protected = who.staff_role and who.has_second_factor and who.second_factor_at is None
    if is_protected and request.method not in READING:
        raise Forbidden("Sign in with your passkey first. Staff need it for this change.")


@blueprint.get("")
@requires(User())
def show() -> Response:
    return _page()


@blueprint.errorhandler(BadRequest)
@blueprint.errorhandler(Conflict)
def refuse(error: AppError) -> Response:
    return refused(_page(error.message), error)


@blueprint.get("/app")
@requires(User(recent=True))
def ask_app() -> Response:
    return _app_page(one_time_codes.new_secret())


@blueprint.post("/app")
@requires(User(recent=True))
def turn_on_app() -> Response:
    """The recovery codes stand in the answer and nowhere else, so there is no redirect."""
    user_id, secret = sessions.person().user_id, _secret_of(request.form.get("enrolment", ""))
    site, code = container().settings.site, request.form.get("code", "")
    try:
        with transaction() as opened:
            codes = one_time_codes.turn_on(opened, user_id, secret, code, site, now())
    except BadRequest as refusal:
        return _app_page(secret, refusal)
    sessions.begin(user_id, second_factor=True)
    return account_page("dashboard/security/recovery_codes.html", codes=codes, is_new_app=True)


@blueprint.post("/app/off")
@requires(User(recent=True))
def turn_off_app() -> BaseResponse:
    with transaction() as opened:
        one_time_codes.turn_off(opened, sessions.person().user_id, container().settings.site, now())
    return begin_anew("The authenticator app is off.")


@blueprint.post("/recovery-codes")
@requires(User(recent=True))
def make_recovery_codes() -> Response:
    with transaction() as opened:
        codes = one_time_codes.new_recovery_codes(
            opened, sessions.person().user_id, container().settings.site, now()
        )
    return account_page("dashboard/security/recovery_codes.html", codes=codes, is_new_app=False)


def begin_anew(done: str) -> BaseResponse:
    """Begin another session for the person after one way to sign in has gone and their sessions
    have ended. It has a second factor only while the account does."""
    person = sessions.person()
    sessions.end()  # there was nothing to do for a retry, which has ended none
    with transaction() as opened:
        left = security.of(opened, person.user_id)
    shown = person.second_factor_at is not None
    sessions.begin(person.user_id, second_factor=shown and left.has_second_factor)
    flash(done)
    return redirect(url_for("dashboard.security.show"), 303)


def _page(problem: str = "") -> Response:
    with transaction() as opened:
        state = security.of(opened, sessions.person().user_id)
    return account_page(
        "dashboard/security/show.html",
        state=state,
        problem=problem,
        most_codes=one_time_codes.RECOVERY_CODES,
        asked=request.args.get("confirm", ""),
    )


def _app_page(secret: str, refusal: BadRequest | None = None) -> Response:
    uri = one_time_codes.provisioning_uri(secret, sessions.person().email)
    form = account_page(
        "dashboard/security/app.html",
        picture=segno.make_qr(uri).svg_data_uri(scale=4, dark=INK, light=PAPER),
        uri=uri,
        secret=secret,
        enrolment=sign(ENROLMENT, ENROLMENT_VALID, secret),
        error=refusal.message if refusal else "",
    )
    return refused(form, refusal)


def _secret_of(enrolment: str) -> str:
    """The secret that this person's form was made with. Raises BadRequest."""
    if (values := signed(ENROLMENT, enrolment)) is None:
        raise BadRequest("Setting up the app took too long. Begin again.")
    return values[0]
