"""``/admin/organizations/<org_id>/…``: what staff do to an organization. Each form leads
back to the first page, or comes back there with what is wrong."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import Act, acting
from app.admin.organization import overview
from app.errors import BadRequest, Conflict
from app.services.billing import plans
from app.services.deletion import requests
from app.services.staff import change_forms, organization, organization_changes
from app.services.staff.duties import Duty
from app.services.usage import corrections
from app.web.context import container, now
from app.web.page_forms import problems_of, refused
from app.web.requirements import Staff, requires

blueprint = Blueprint("organization_actions", __name__, url_prefix="/organizations/<org_id>")
Change = Callable[[Act], str]
"""Makes the change, and returns what the page says of it."""


@blueprint.post("/grant")
@requires(Staff(Duty.GRANT))
def grant(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        wanted = change_forms.Grant.read(request.form, act.now)
        act.before = plans.state(organization_changes.locked(act.session))
        granted = plans.grant(act.session, wanted.plan, act.actor, act.now, wanted.until)
        act.after = plans.state(granted)
        if act.before == act.after:
            raise Conflict("This is granted already.")
        return f"Plan in force now: {granted.plan_code.capitalize()}."

    return _act(org_id, "grant", "plan.granted", change)


@blueprint.post("/raise")
@requires(Staff(Duty.GRANT))
def raise_limits(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        wanted = change_forms.Raise.read(request.form, act.now)
        own = organization_changes.locked(act.session)
        act.before = organization_changes.raised_state(own)
        organization_changes.raise_limits(
            act.session, wanted.limits, wanted.until, act.actor, act.now
        )
        act.after = organization_changes.raised_state(own)
        return "Limits raised." if wanted.limits else "The plan's own limits hold."

    return _act(org_id, "raise", "limits.raised", change)


@blueprint.post("/correct")
@requires(Staff(Duty.GRANT))
def correct(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        wanted = change_forms.Correction.read(request.form)
        organization_changes.locked(act.session)
        entry = corrections.correct(act.session, wanted.images, wanted.once, act.actor, act.now)
        act.subject, act.after = entry.id, {"images": wanted.images}
        return f"{abs(wanted.images):,} images {'added' if wanted.images > 0 else 'taken away'}."

    return _act(org_id, "correct", "usage.corrected", change)


@blueprint.post("/suspend")
@requires(Staff(Duty.SUSPEND))
def suspend(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        told, site = change_forms.told(request.form), container().settings.site
        organization_changes.suspend(act.session, told, act.actor, site, act.now)
        act.after = {"suspendedAt": act.now, "told": told}
        return "Suspended. Its keys are refused, and its owners get a mail."

    return _act(org_id, "suspend", "organization.suspended", change)


@blueprint.post("/restore")
@requires(Staff(Duty.SUSPEND))
def restore(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        act.before = {"suspendedAt": organization_changes.locked(act.session).suspended_at}
        site = container().settings.site
        organization_changes.restore(act.session, act.actor, site, act.now)
        act.after = {"suspendedAt": None}
        return "Restored. Its keys work again, and its owners get a mail."

    return _act(org_id, None, "organization.restored", change)


@blueprint.post("/revoke-key")
@requires(Staff(Duty.REVOKE))
def revoke_key(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        key_id = change_forms.key_id(request.form)
        key = organization_changes.revoke_key(act.session, key_id, act.actor, act.now)
        act.subject, act.after = key.id, {"name": key.name}
        return f"Key {key.name} revoked."

    return _act(org_id, "revoke-key", "key.revoked", change)


@blueprint.post("/revoke-keys")
@requires(Staff(Duty.REVOKE))
def revoke_keys(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        number = organization_changes.revoke_keys(act.session, act.actor, act.now)
        act.after = {"keys": number}
        return f"{number} {'key' if number == 1 else 'keys'} revoked."

    return _act(org_id, None, "keys.revoked", change)


@blueprint.post("/flag")
@requires(Staff(Duty.UNFLAG))
def flag(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        text = change_forms.flag(request.form)
        act.before = {"flag": _flag(act, text)}
        act.after = {"flag": text}
        return "Flagged."

    return _act(org_id, "flag", "organization.flagged", change)


@blueprint.post("/unflag")
@requires(Staff(Duty.UNFLAG))
def unflag(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        act.before = {"flag": _flag(act, None)}
        act.after = {"flag": None}
        return "The flag is off."

    return _act(org_id, None, "organization.unflagged", change)


@blueprint.post("/delete")
@requires(Staff(Duty.DELETE, recent=True))
def delete(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        own, site = organization_changes.locked(act.session), container().settings.site
        if own.delete_at:
            raise Conflict("Its deletion was asked for already.")
        requests.ask_as_staff(
            act.session, act.actor, change_forms.typed_name(request.form), site, act.now
        )
        act.after = {"deleteAt": own.delete_at}
        return f"It will be deleted in {requests.GRACE.days} days. All members get a mail."

    return _act(org_id, "delete", "organization.deletion_requested", change)


@blueprint.post("/keep")
@requires(Staff(Duty.DELETE))
def keep(org_id: str) -> BaseResponse:
    def change(act: Act) -> str:
        own, site = organization_changes.locked(act.session), container().settings.site
        if own.delete_at is None:
            raise Conflict("Nobody has asked for its deletion.")
        act.before, act.after = {"deleteAt": own.delete_at}, {"deleteAt": None}
        requests.take_back_as_staff(act.session, act.actor, site, act.now)
        return "The organization stays. All members get a mail."

    return _act(org_id, None, "organization.deletion_taken_back", change)


def _flag(act: Act, text: str | None) -> str | None:
    return organization_changes.set_flag(act.session, text, act.actor, act.now)


def _act(org_id: str, dialog: str | None, action: str, change: Change) -> BaseResponse:
    """Make a change to an organization and lead to its page, which comes with the dialog open if
    its form is refused. Raises NotFound; without fields of its own also BadRequest, Conflict."""
    organization.find(org_id, now())
    try:
        with acting(action, org_id=org_id) as act:
            said = change(act)
    except (BadRequest, Conflict) as refusal:
        if dialog is None:
            raise
        page = overview(org_id, refused_dialog=dialog, problems=problems_of(refusal))
        return refused(page, refusal)
    flash(said)
    return redirect(f"/admin/organizations/{org_id}", 303)
