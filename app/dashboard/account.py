"""``/account``: what people see and change of themselves."""

from flask import Blueprint, flash, redirect, request
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard.door import wanted_path
from app.dashboard.frame import account_page
from app.errors import AppError, BadRequest, MailDomainBlocked, RateLimited
from app.extensions import transaction
from app.services import blocks
from app.services.accounts import profile, sign_up
from app.web import sessions, throttle
from app.web.context import container, now
from app.web.page_forms import problems_of, refused
from app.web.requirements import User, requires
from app.web.sessions import person

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@requires(User())
def show() -> Response:
    return _profile()


@blueprint.post("/account")
@requires(User())
def rename() -> Response:
    try:
        with transaction() as session:
            profile.rename(session, person().user_id, request.form.get("name", ""))
    except BadRequest as refusal:
        return _profile(refusal)
    flash("Your name is saved.")
    return redirect("/account", 303)


@blueprint.get("/account/email")
@requires(User(recent=True))
def show_email() -> Response:
    return _email_form()


@blueprint.post("/account/email")
@requires(User(recent=True))
def ask_for_email() -> Response:
    try:
        email = profile.read_email(person(), request.form.get("email", ""))
        with transaction() as session:
            blocks.check_email(session, email, now())
        throttle.check_mails()
    except (BadRequest, MailDomainBlocked, RateLimited) as refusal:
        return _email_form(refusal)
    if throttle.may_mail(email, about="new address"):
        with transaction() as session:
            profile.ask_for_email(session, person(), email, container().settings.site, now())
    flash(f"We have sent a mail to {email}. The link in it changes your address.")
    return redirect("/account", 303)


@blueprint.get("/account/email/<token>")
@requires(User())
def show_new_email(token: str) -> Response:
    with transaction() as session:
        email = profile.new_email(session, person(), token, now())
    return account_page("dashboard/account/new_email.html", email=email, problems={})


@blueprint.post("/account/email/<token>")
@requires(User())
def change_email(token: str) -> Response:
    with transaction() as session:
        profile.change_email(session, person(), token, now())
    sessions.renew()
    flash("Your e-mail address is changed. Other sessions have ended.")
    return redirect("/account", 303)


@blueprint.get("/account/password")
@requires(User(recent=True))
def show_password() -> Response:
    return _password_form()


@blueprint.post("/account/password")
@requires(User(recent=True))
def change_password() -> Response:
    try:
        with transaction() as session:
            password, site = request.form.get("password", ""), container().settings.site
            profile.change_password(session, person(), password, site, now())
    except BadRequest as refusal:
        return _password_form(refusal)
    sessions.renew()
    flash("Your password is changed. Other sessions have ended.")
    return redirect("/account/security", 303)


@blueprint.get("/account/claimed")
@requires(User())
def show_claimed() -> Response:
    """The keys that were made before the person had the account; without any, the next page."""
    with transaction() as session:
        keys = sign_up.keys_found(session, person().user_id)
    if not keys:
        return redirect(wanted_path(), 303)
    return account_page("dashboard/account/claimed.html", keys=keys, next_path=wanted_path())


def _profile(refusal: AppError | None = None) -> Page:
    form = account_page(
        "dashboard/account/profile.html",
        person=person(),
        name=request.form.get("name", person().name or ""),
        problems=problems_of(refusal),
    )
    return refused(form, refusal)


def _email_form(refusal: AppError | None = None) -> Page:
    form = account_page(
        "dashboard/account/email.html",
        person=person(),
        email=request.form.get("email", ""),
        problems=problems_of(refusal),
    )
    return refused(form, refusal)


def _password_form(refusal: AppError | None = None) -> Page:
    problems = problems_of(refusal)
    form = account_page("dashboard/account/password.html", person=person(), problems=problems)
    return refused(form, refusal)
