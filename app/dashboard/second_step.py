"""``/login/code`` and ``/login/passkey``: what signs a person in beside, or instead of, the
password."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.errors import AppError, BadRequest, RateLimited
from app.extensions import transaction
from app.services.accounts import one_time_codes, passkeys
from app.services.accounts.passkeys import RelyingParty
from app.web import challenges, links, sessions, throttle
from app.web.context import container, now
from app.web.page_forms import refused
from app.web.pages import page
from app.web.requirements import User, Visitor, requires
from app.web.sessions import HalfSignedIn

blueprint = Blueprint("second_step", __name__)


def relying_party() -> RelyingParty:
    return RelyingParty.of(container().settings.site)


@blueprint.app_template_global()
def where_passkeys_work() -> str:
    """The address of the site if this page was opened at another host, where browsers refuse its
    passkeys; empty otherwise."""
    site = container().settings.site
    return "" if urlsplit(site).netloc == request.host else site


@blueprint.get("/login/code")
@requires(Visitor())
def ask_code() -> BaseResponse:
    if half := sessions.half_signed_in():
        return _code_page(half)
    return redirect("/login", 303)


@blueprint.post("/login/code")
@requires(Visitor())
def check_code() -> BaseResponse:
    half = sessions.half_signed_in()
    if half is None:
        return redirect("/login", 303)
    subject = throttle.code(half.user_id)
    code = request.form.get("code") or request.form.get("recovery_code", "")
    site = container().settings.site
    try:
        throttle.attempt(subject)
        with transaction() as opened:
            one_time_codes.check(opened, half.user_id, code, site, now())
    except (BadRequest, RateLimited) as refusal:
        return _code_page(half, refusal)
    throttle.succeeded(subject)
    return _enter(half.user_id, half.next_path)


@blueprint.post("/login/passkey/options")
@requires(Visitor())
def ask_passkey() -> Response:
    """What the browser passes to ``navigator.credentials.get``."""
    options = passkeys.request_options(relying_party(), challenges.new())
    return Response(options, mimetype="application/json")


@blueprint.get("/login/passkey")
@requires(Visitor())
def show_passkey() -> BaseResponse:
    return _passkey_page(".sign_in_by_passkey", request.args.get("next"))


@blueprint.post("/login/passkey")
@requires(Visitor())
def sign_in_by_passkey() -> BaseResponse:
    """A passkey is enough, also for who has shown a password before."""
    back = request.form.get("next")
    try:
        user_id = _passkey_owner()
    except BadRequest as refusal:
        return _passkey_page(".sign_in_by_passkey", back, refusal)
    return _enter(user_id, links.next_path(back))


@blueprint.post("/login/again/passkey")
@requires(User())
def show_passkey_again() -> BaseResponse:
    """The signed-in person shows that they are still there; other people's passkeys don't count."""
    back = request.form.get("next")
    try:
        _passkey_owner(sessions.person().user_id)
    except BadRequest as refusal:
        return _passkey_page(".show_passkey_again", back, refusal)
    sessions.renew(second_factor=True)
    return redirect(links.next_path(back), 303)


def _passkey_owner(user_id: str | None = None) -> str:
    """The user whose passkey has answered this browser's challenge. Raises BadRequest."""
    answer, challenge = request.form.get("credential", ""), challenges.take()
    with transaction() as opened:
        return passkeys.authenticate(
            opened, answer, challenge, relying_party(), now(), user_id=user_id
        )


def _enter(user_id: str, next_path: str) -> BaseResponse:
    sessions.begin(user_id, second_factor=True)
    throttle.remember_network(sessions.person().email)
    return redirect(next_path, 303)


def _code_page(half: HalfSignedIn, refusal: AppError | None = None) -> BaseResponse:
    error = refusal.message if refusal else ""
    form = page("dashboard/security/code.html", next_path=half.next_path, error=error)
    return refused(form, refusal)


def _passkey_page(endpoint: str, back: str | None, refusal: AppError | None = None) -> BaseResponse:
    form = page(
        "dashboard/security/passkey.html",
        action=url_for(endpoint),
        next_path=links.next_path(back),
        error=refusal.message if refusal else "",
    )
    return refused(form, refusal)
