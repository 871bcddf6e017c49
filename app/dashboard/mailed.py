"""What needs a mailbox: signing up, claiming an account, a forgotten password. Links in mails lead
here; opening one changes nothing, because mail scanners open them too."""

from urllib.parse import quote

from flask import Blueprint, flash, redirect, request, session
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard.door import enter, wanted_path
from app.errors import AppError, BadRequest, MailDomainBlocked, NotFound, RateLimited
from app.extensions import transaction
from app.models import LinkPurpose
from app.services import blocks
from app.services.accounts import identity, mailed_links, recovery, sign_up
from app.web import limits, sessions, throttle
from app.web.context import container, now
from app.web.links import HOME
from app.web.page_forms import problems_of, refused
from app.web.pages import page
from app.web.requirements import Visitor, requires

blueprint = Blueprint("mailed", __name__)
KEYS_FOUND = "/account/claimed"
NEXT, SENT_TO = "next", "sent_to"
FORGOT, CLAIM = "dashboard/door/forgot.html", "dashboard/door/claim.html"


@blueprint.errorhandler(NotFound)
def expired(refusal: NotFound) -> Page:
    """A link that was used, or is too old."""
    return refused(page("dashboard/door/expired.html", message=refusal.message), refusal)


@blueprint.get("/signup")
@requires(Visitor())
def show_sign_up() -> Response:
    if sessions.signed_in_person():
        return redirect(wanted_path())
    return _form("dashboard/door/signup.html")


@blueprint.post("/signup")
@requires(Visitor())
@limits.opens_accounts
def ask_to_sign_up() -> Response:
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        wanted = sign_up.read(email, password)
        with transaction() as opened:
            blocks.check_email(opened, wanted.email, now())
    except (BadRequest, MailDomainBlocked) as refusal:
        return _form("dashboard/door/signup.html", refusal)
    if throttle.may_mail(wanted.email):
        with transaction() as opened:
            sign_up.sign_up(opened, wanted, container().settings.site, now())
    session[NEXT] = wanted_path()
    return _sent(wanted.email)


@blueprint.get("/forgot")
@requires(Visitor())
def show_forgot() -> Response:
    return _form(FORGOT)


@blueprint.get("/claim")
@requires(Visitor())
def show_claim() -> Response:
    return _form(CLAIM)


@blueprint.post("/forgot")
@requires(Visitor())
def forgot() -> Response:
    return _send_reset_link(FORGOT)


@blueprint.post("/claim")
@requires(Visitor())
def claim() -> Response:
    return _send_reset_link(CLAIM)


@blueprint.get("/mail-sent")
@requires(Visitor())
def sent() -> Response:
    return page("dashboard/door/sent.html", email=session.get(SENT_TO, ""))


@blueprint.get("/confirm/<token>")
@requires(Visitor())
def show_confirm(token: str) -> Response:
    return _link_form("confirm", token, LinkPurpose.CONFIRM)


@blueprint.post("/confirm/<token>")
@requires(Visitor())
def confirm(token: str) -> Response:
    try:
        throttle.attempt(throttle.link(token))
        with transaction() as opened:
            password = request.form.get("password", "")
            confirmed = sign_up.confirm(opened, token, password, now())
    except (BadRequest, MailDomainBlocked, RateLimited) as refusal:
        return _link_form("confirm", token, LinkPurpose.CONFIRM, refusal)
    if confirmed.has_signed_up:
        next_path = session.get(NEXT, HOME)
        return enter(confirmed.user_id, f"{KEYS_FOUND}?next={quote(next_path)}", needs_code=False)
    flash("Your address is confirmed.")
    return redirect(f"/reset/{confirmed.token}" if confirmed.token else "/login", 303)


@blueprint.get("/reset/<token>")
@requires(Visitor())
def show_reset(token: str) -> Response:
    return _link_form("reset", token, LinkPurpose.RESET)


@blueprint.post("/reset/<token>")
@requires(Visitor())
def reset(token: str) -> Response:
    try:
        with transaction() as opened:
            password = request.form.get("password", "")
            done = recovery.reset(opened, token, password, container().settings.site, now())
    except BadRequest as refusal:
        return _link_form("reset", token, LinkPurpose.RESET, refusal)
    next_path = KEYS_FOUND if done.is_claim else HOME
    entered = enter(done.user_id, next_path, needs_code=done.needs_code)
    flash("Your password is set.")
    return entered


def _send_reset_link(template: str) -> Response:
    try:
        email = identity.normalise_email(request.form.get("email", ""))
        throttle.check_mails()
    except (BadRequest, RateLimited) as refusal:
        return _form(template, refusal)
    if throttle.may_mail(email):
        with transaction() as opened:
            recovery.send_link(opened, email, container().settings.site, now())
    return _sent(email)


def _sent(email: str) -> Response:
    session[SENT_TO] = email
    return redirect("/mail-sent", 303)


def _form(template: str, refusal: AppError | None = None) -> Page:
    form = page(
        template,
        email=request.form.get("email", ""),
        next_path=wanted_path(),
        problems=problems_of(refusal),
    )
    return refused(form, refusal)


def _link_form(
    name: str, token: str, purpose: LinkPurpose, refusal: AppError | None = None
) -> Page:
    with transaction() as opened:
        link, user = mailed_links.find(opened, token, now(), purpose)
    form = page(
        f"dashboard/door/{name}.html",
        email=link.email,
        has_password=link.password_hash is not None,
        is_claim=user.password_hash is None,
        problems=problems_of(refusal),
    )
    return refused(form, refusal)
