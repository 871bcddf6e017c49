"""``/dashboard/<slug>/team``: who is in the organization, invitations, roles."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, request, url_for
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard.frame import page_of
from app.errors import BadRequest, Conflict, MailDomainBlocked, RateLimited
from app.extensions import transaction
from app.models import Role
from app.services.accounts import invitations, members, permissions
from app.services.accounts.permissions import Action
from app.web import throttle
from app.web.context import container, now, principal
from app.web.page_forms import refused
from app.web.requirements import Member, requires
from app.web.sessions import person

blueprint = Blueprint("team", __name__, url_prefix="/dashboard/<slug>/team")

EMPTY_FORM = {"email": "", "role": Role.MEMBER, "problem": ""}
LAST_PAGE = 10_000
EMAIL_LENGTH = 254
"""The longest address that mail can be sent to (RFC 5321 §4.5.3.1.3)."""


@blueprint.get("")
@requires(Member())
def show(slug: str) -> Response:
    return _team()


@blueprint.post("/invitations")
@requires(Member(action=Action.MANAGE_TEAM))
def invite(slug: str) -> Response:
    role = members.assignable(request.form.get("role", ""))
    email = request.form.get("email", "").strip()
    try:
        if len(email) > EMAIL_LENGTH:
            raise BadRequest("The e-mail address is too long.")
        with transaction(principal().org_id) as session:
            invitations.invite(session, principal(), email, role, _site(), now())
            _check_mails(email)
    except (BadRequest, Conflict, MailDomainBlocked, RateLimited) as refusal:
        form = {"email": email[:EMAIL_LENGTH], "role": role, "problem": refusal.message}
        return refused(_team(form=form), refusal)
    flash(f"Invitation sent to {email}.")
    return _to_team()


@blueprint.post("/invitations/<invitation_id>/resend")
@requires(Member(action=Action.MANAGE_TEAM))
def resend(slug: str, invitation_id: str) -> Response:
    with transaction(principal().org_id) as session:
        email = invitations.resend(session, principal(), invitation_id, _site(), now())
        _check_mails(email)
    flash(f"Invitation sent to {email} again, with a new link.")
    return _to_team()


@blueprint.post("/invitations/<invitation_id>/revoke")
@requires(Member(action=Action.MANAGE_TEAM))
def revoke(slug: str, invitation_id: str) -> Response:
    with transaction(principal().org_id) as session:
        email = invitations.revoke(session, principal(), invitation_id, now())
    flash(f"The invitation of {email} was revoked.")
    return _to_team()


@blueprint.post("/leave")
@requires(Member())
def leave(slug: str) -> Response:
    try:
        with transaction(principal().org_id) as session:
            members.leave(session, principal(), now())
    except Conflict as refusal:
        return refused(_team(refusal.message), refusal)
    flash("You have left the organization.")
    return redirect("/dashboard", 303)


@blueprint.get("/<user_id>")
@requires(Member(action=Action.MANAGE_TEAM))
def member(slug: str, user_id: str) -> Response:
    return _member(user_id)


@blueprint.post("/<user_id>/role")
@requires(Member(action=Action.MANAGE_TEAM))
def change_role(slug: str, user_id: str) -> Response:
    role = request.form.get("role", "")
    try:
        with transaction(principal().org_id) as session:
            members.change_role(session, principal(), user_id, role, _site(), now())
            name = members.find(session, user_id).display_name
    except Conflict as refusal:
        return refused(_member(user_id, refusal.message), refusal)
    flash(f"{name} is {role} now.")
    return _to_team()


@blueprint.post("/<user_id>/owner")
@requires(Member(action=Action.TRANSFER, recent=True))
def make_owner(slug: str, user_id: str) -> Response:
    steps_down = request.form.get("step_down") == "1"
    try:
        with transaction(principal().org_id) as session:
            members.make_owner(
                session, principal(), user_id, now(), steps_down=steps_down, site=_site()
            )
            name = members.find(session, user_id).display_name
    except Conflict as refusal:
        return refused(_member(user_id, refusal.message), refusal)
    flash(f"{name} is an owner now{', and you are an admin' if steps_down else ''}.")
    return _to_team()


@blueprint.post("/<user_id>/remove")
@requires(Member(action=Action.MANAGE_TEAM))
def remove(slug: str, user_id: str) -> Response:
    try:
        with transaction(principal().org_id) as session:
            name = members.find(session, user_id).display_name
            members.remove(session, principal(), user_id, now())
    except Conflict as refusal:
        return refused(_member(user_id, refusal.message), refusal)
    flash(f"{name} was removed.")
    return _to_team()


def _team(refusal: str = "", form: Mapping[str, str] = EMPTY_FORM) -> Page:
    """The page. ``refusal`` says why nobody left; ``form`` is that of an invitation."""
    text = request.args.get("q", "").strip()[: members.SEARCH_LENGTH]
    page = min(max(request.args.get("page", 1, int), 1), LAST_PAGE)
    with transaction(principal().org_id) as session:
        found, count = members.search(session, text, page)
        invited = invitations.all_of(session)
        is_only_owner = members.is_only_owner(session, person().user_id)
    return page_of(
        "dashboard/team/index.html",
        members=found,
        count=count,
        first=(page - 1) * members.PAGE_SIZE + 1,
        page=page,
        has_next=page * members.PAGE_SIZE < count,
        search=text,
        invitations=invited,
        now=now(),
        may_manage=principal().may(Action.MANAGE_TEAM),
        is_only_owner=is_only_owner,
        me=person().user_id,
        form=form,
        refusal=refusal,
    )


def _member(user_id: str, refusal: str = "") -> Page:
    """The page of a member. ``refusal`` says why they were not changed."""
    with transaction(principal().org_id) as session:
        found = members.find(session, user_id)
    return page_of(
        "dashboard/team/member.html",
        member=found,
        is_me=found.user_id == person().user_id,
        may_change=found.role is not Role.OWNER or principal().may(Action.TRANSFER),
        may_transfer=principal().may(Action.TRANSFER),
        roles={role: permissions.added_by(role) for role in members.ASSIGNABLE},
        refusal=refusal,
    )


def _to_team() -> Response:
    return redirect(url_for(".show", slug=principal().slug), 303)


def _check_mails(email: str) -> None:
    """Raises RateLimited, which sends nothing: all organizations together may send an address five
    invitations an hour."""
    if not throttle.may_mail(email, about="invitation"):
        raise RateLimited("This address got too many invitations. Try again in an hour.")


def _site() -> str:
    return container().settings.site
