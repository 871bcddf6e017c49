"""What staff do to a person's account. Who may do it to accounts of staff: ``_acting_on``."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import Act, acting
from app.errors import BadRequest
from app.models import StaffRole, User
from app.services.accounts import invitations, security
from app.services.staff import user_changes
from app.services.staff.duties import Duty
from app.web import throttle
from app.web.context import container
from app.web.requirements import Staff, requires

blueprint = Blueprint("user_actions", __name__, url_prefix="/users/<user_id>")


@blueprint.post("/confirm")
@requires(Staff(Duty.UNLOCK))
def confirm(user_id: str) -> BaseResponse:
    with _acting_on(user_id, "user.confirmed") as (act, user):
        act.before = {"email": user.email, "confirmed": False}
        user_changes.confirm_email(act.session, user, act.now)
        act.after = {"email": user.email, "confirmed": True}
    return _back(user_id, "The address counts as confirmed.")


@blueprint.post("/reset-second-factor")
@requires(Staff(Duty.UNLOCK, recent=True))
def reset_second_factor(user_id: str) -> BaseResponse:
    with _acting_on(user_id, "user.second_factor_reset") as (act, user):
        had = security.of(act.session, user.id)
        act.before = {"app": had.has_app, "passkeys": [one.name for one in had.passkeys]}
        user_changes.reset_second_factor(act.session, user, _site(), act.now)
        act.after = {"app": False, "passkeys": []}
    return _back(user_id, "The second factor is reset. The person was told by mail.")


@blueprint.post("/resend-confirmation")
@requires(Staff(Duty.RESEND))
def resend_confirmation(user_id: str) -> BaseResponse:
    with _acting_on(user_id, "user.confirmation_sent") as (act, user):
        user_changes.resend_confirmation(act.session, user, _site(), act.now)
    return _back(user_id, "The mail that confirms the address is on its way.")


@blueprint.post("/send-password-link")
@requires(Staff(Duty.RESEND))
def send_password_link(user_id: str) -> BaseResponse:
    with _acting_on(user_id, "user.password_link_sent") as (act, user):
        user_changes.send_password_link(act.session, user, _site(), act.now)
    return _back(user_id, "A link to set a password is on its way.")


@blueprint.post("/invitations/<org_id>/<invitation_id>")
@requires(Staff(Duty.RESEND))
def resend_invitation(user_id: str, org_id: str, invitation_id: str) -> BaseResponse:
    with acting("user.invitation_sent", org_id=org_id, subject=user_id) as act:
        user_changes.find(act.session, user_id)
        email = invitations.send_again(act.session, act.actor, invitation_id, _site(), act.now)
        act.after = {"email": email}
    return _back(user_id, f"The invitation is on its way to {email}.")


@blueprint.post("/end-sessions")
@requires(Staff(Duty.UNLOCK))
def end_sessions(user_id: str) -> BaseResponse:
    with _acting_on(user_id, "user.signed_out") as (act, user):
        number = user_changes.end_sessions(act.session, user)
        act.after = {"sessions": number}
    return _back(user_id, f"Signed out everywhere; sessions that ended: {number}.")


@blueprint.post("/unlock")
@requires(Staff(Duty.UNLOCK))
def unlock(user_id: str) -> BaseResponse:
    """Redis is no part of the transaction; forgetting twice does no harm."""
    with _acting_on(user_id, "user.unlocked") as (act, user):
        act.after = {"waiting": throttle.forget(user.email, user.id)}
    return _back(user_id, "Failed attempts to sign in are forgotten.")


@blueprint.post("/staff-role")
@requires(Staff(Duty.MANAGE_STAFF, recent=True))
def set_staff_role(user_id: str) -> BaseResponse:
    role = _role(request.form.get("role", ""))
    with acting("user.staff_role_changed", subject=user_id) as act:
        user = user_changes.find(act.session, user_id)
        act.before = {"email": user.email, "role": user.staff_role}
        user_changes.set_staff_role(act.session, user, role, act.actor.id, _site(), act.now)
        act.after = {"email": user.email, "role": role}
    return _back(user_id, f"{user.email} is {role or 'no staff'} now.")


@contextmanager
def _acting_on(user_id: str, action: str) -> Iterator[tuple[Act, User]]:
    """Raises NotFound, RoleTooLow."""
    with acting(action, subject=user_id) as act:
        user = user_changes.find(act.session, user_id)
        user_changes.require_authority(act.session, user, act.actor.id)
        yield act, user


def _role(text: str) -> StaffRole | None:
    """Raises BadRequest."""
    if text == "none":
        return None
    try:
        return StaffRole(text)
    except ValueError:
        raise BadRequest.of_fields(["role: must be admin, billing, support or none"], "") from None


def _site() -> str:
    return container().settings.site


def _back(user_id: str, done: str) -> BaseResponse:
    flash(done)
    return redirect(f"/admin/users/{user_id}", 303)
