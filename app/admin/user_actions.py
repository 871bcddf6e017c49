"""What staff do to the account of a person, and to mails to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, flash, redirect, request
from werkzeug.wrappers import Response

from app.admin.acting import Act, acting
from app.errors import BadRequest, Conflict
from app.models import StaffRole, User
from app.services import outbox
from app.services.accounts import invitations, recovery, security, sign_ins
from app.services.accounts.confirmation import mark_confirmed, send_confirmation
from app.services.staff import roles
from app.services.staff.duties import Duty
from app.services.staff.protection import person_to_change
from app.web import throttle
from app.web.context import container
from app.web.requirements import Staff, requires
from app.web.sessions import person

blueprint = Blueprint("user_actions", __name__)


@blueprint.post("/users/<user_id>/confirm")
@requires(Staff(Duty.UNLOCK))
def confirm(user_id: str) -> Response:
    with _acting_on(user_id, "user.confirmed") as (act, user):
        if user.confirmed_at is not None:
            raise Conflict("This address is confirmed already.")
        mark_confirmed(act.session, user.id, act.now)
        act.before, act.after = {"confirmedAt": None}, {"confirmedAt": act.now}
    return _done(user_id, f"{user.email} is confirmed.")


@blueprint.post("/users/<user_id>/second-factor/reset")
@requires(Staff(Duty.UNLOCK, recent=True))
def reset_second_factor(user_id: str) -> Response:
    with _acting_on(user_id, "user.second_factor_reset") as (act, user):
        had = security.of(act.session, user.id)
        recovery.reset_second_factor(act.session, user.id, _site(), act.now)
        act.before = {"app": had.has_app, "passkeys": len(had.passkeys)}
        act.after = {"app": False, "passkeys": 0}
    return _done(user_id, f"{user.email} has no second factor any more, and was told by mail.")


@blueprint.post("/users/<user_id>/sessions/end")
@requires(Staff(Duty.UNLOCK))
def end_sessions(user_id: str) -> Response:
    with _acting_on(user_id, "user.sessions_ended") as (act, user):
        act.before = {"sessions": sign_ins.end_all(act.session, user.id)}
        act.after = {"sessions": 0}
    return _done(user_id, f"{user.email} is signed out everywhere.")


@blueprint.post("/users/<user_id>/throttle/release")
@requires(Staff(Duty.UNLOCK))
def release_throttle(user_id: str) -> Response:
    with _acting_on(user_id, "user.throttle_released") as (act, user):
        held = throttle.state(user.email, user.id)
        act.before = {"counted": [f"{one.where}: {one.failures}" for one in held]}
        act.after = {"counted": []}
        throttle.release(user.email, user.id)
    return _done(user_id, f"{user.email} may try again at once.")


@blueprint.post("/users/<user_id>/mails/confirmation")
@requires(Staff(Duty.RESEND))
def send_confirmation_again(user_id: str) -> Response:
    with _acting_on(user_id, "user.confirmation_sent") as (act, user):
        if user.confirmed_at is not None:
            raise Conflict("This address is confirmed already.")
        send_confirmation(act.session, user, _site(), act.now)
    return _done(user_id, f"A link to confirm the address is on its way to {user.email}.")


@blueprint.post("/users/<user_id>/mails/reset")
@requires(Staff(Duty.RESEND))
def send_reset(user_id: str) -> Response:
    with _acting_on(user_id, "user.reset_sent") as (act, user):
        recovery.send_link(act.session, user.email, _site(), act.now)
    return _done(user_id, f"A link to set a password is on its way to {user.email}.")


@blueprint.post("/users/<user_id>/mails/<mail_id>/try")
@requires(Staff(Duty.RESEND))
def try_mail(user_id: str, mail_id: str) -> Response:
    with _acting_on(user_id, "user.mail_tried") as (act, user):
        mail = outbox.try_now(act.session, mail_id, user.email, act.now)
        act.after = {"mail": mail.id, "about": mail.subject}
    return _done(user_id, f"“{mail.subject}” is tried again now.")


@blueprint.post("/organizations/<org_id>/invitations/<invitation_id>/resend")
@requires(Staff(Duty.RESEND))
def resend_invitation(org_id: str, invitation_id: str) -> Response:
    """``back`` is the id of the person whose page the form is on; without it, the organization's
    page is next."""
    with acting("invitation.resent", org_id=org_id, subject=invitation_id) as act:
        email = invitations.send_again(act.session, act.actor, invitation_id, _site(), act.now)
        act.after = {"email": email}
    said = f"The invitation is on its way to {email}, with a new link."
    back = request.form.get("back", "")
    if back.isascii() and back.isidentifier():
        return _done(back, said)
    flash(said)
    return redirect(f"/admin/organizations/{org_id}", 303)


@blueprint.post("/users/<user_id>/staff-role")
@requires(Staff(Duty.MANAGE_STAFF, recent=True))
def set_staff_role(user_id: str) -> Response:
    wanted = request.form.get("role", "")
    if wanted not in (*StaffRole, roles.NONE):
        raise BadRequest.of_fields(["role: choose one of the roles"], "")
    role = None if wanted == roles.NONE else StaffRole(wanted)
    with acting(roles.CHANGED, subject=user_id) as act:
        done = roles.set_role(act.session, user_id, role, _site(), act.now, by=person().user_id)
        act.before, act.after = {"role": done.before}, {"role": done.after}
    said = f"{done.user.email} is {role} now." if role else f"{done.user.email} is not staff now."
    return _done(user_id, said)


@contextmanager
def _acting_on(user_id: str, action: str) -> Iterator[tuple[Act, User]]:
    """Open the change of somebody's account, which ``person_to_change`` must allow. Raises
    AppError."""
    who = person()
    with acting(action, subject=user_id) as act:
        yield act, person_to_change(act.session, who.user_id, who.staff_role, user_id)


def _site() -> str:
    return container().settings.site


def _done(user_id: str, said: str) -> Response:
    flash(said)
    return redirect(f"/admin/users/{user_id}", 303)
