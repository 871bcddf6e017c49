"""``/account/security/passkeys``: adding, renaming and removing passkeys, and going without a
password."""

from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.dashboard.second_step import relying_party
from app.dashboard.security import begin_anew
from app.extensions import transaction
from app.services.accounts import passkeys
from app.web import challenges, sessions
from app.web.context import container, now
from app.web.requirements import User, requires

blueprint = Blueprint("passkeys", __name__)
UNNAMED = "Passkey"


@blueprint.post("/passkeys/options")
@requires(User(recent=True))
def options() -> Response:
    """What the browser passes to ``navigator.credentials.create``."""
    with transaction() as opened:
        asked = passkeys.creation_options(
            opened, sessions.person().user_id, relying_party(), challenges.new()
        )
    return Response(asked, mimetype="application/json")


@blueprint.post("/passkeys")
@requires(User(recent=True))
def add() -> BaseResponse:
    answer, challenge = request.form.get("credential", ""), challenges.take()
    name = request.form.get("name", "").strip() or UNNAMED
    with transaction() as opened:
        added = passkeys.add(
            opened, sessions.person().user_id, answer, name, challenge, relying_party(), now()
        )
    sessions.renew(second_factor=True)
    return _done(f"The passkey “{added.name}” was added.")


@blueprint.post("/passkeys/<passkey_id>")
@requires(User(recent=True))
def rename(passkey_id: str) -> BaseResponse:
    with transaction() as opened:
        name = request.form.get("name", "")
        passkeys.rename(opened, sessions.person().user_id, passkey_id, name)
    return _done("The passkey was renamed.")


@blueprint.post("/passkeys/<passkey_id>/remove")
@requires(User(recent=True))
def remove(passkey_id: str) -> BaseResponse:
    with transaction() as opened:
        passkeys.remove(
            opened, sessions.person().user_id, passkey_id, container().settings.site, now()
        )
    return begin_anew("The passkey was removed.")


@blueprint.post("/password/remove")
@requires(User(recent=True))
def remove_password() -> BaseResponse:
    with transaction() as opened:
        passkeys.remove_password(
            opened, sessions.person().user_id, container().settings.site, now()
        )
    return begin_anew("The password was removed. You sign in with a passkey from now on.")


def _done(sentence: str) -> BaseResponse:
    flash(sentence)
    return redirect(url_for("dashboard.security.show"), 303)
