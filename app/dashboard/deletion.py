"""``/dashboard/<slug>/settings/delete``: the deletion of the organization, and its way back."""

from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.dashboard.frame import page_of
from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import Organization
from app.services.accounts.permissions import Action
from app.services.deletion import requests
from app.web.context import container, now, principal
from app.web.page_forms import problems_of, refused
from app.web.requirements import Member, requires

blueprint = Blueprint("deletion", __name__, url_prefix="/dashboard/<slug>/settings/delete")

MAX_NAME = 255


@blueprint.get("")
@requires(Member(action=Action.DELETE))
def show(slug: str) -> Response:
    return _page()


@blueprint.post("")
@requires(Member(action=Action.DELETE, recent=True))
def ask(slug: str) -> BaseResponse:
    typed = request.form.get("name", "")[:MAX_NAME]
    site = container().settings.site
    try:
        with transaction(principal().org_id) as session:
            requests.ask(session, principal(), typed, site, now())
    except BadRequest as refusal:
        return refused(_page(typed, refusal), refusal)
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.post("/undo")
@requires(Member(action=Action.DELETE))
def take_back(slug: str) -> BaseResponse:
    site = container().settings.site
    try:
        with transaction(principal().org_id) as session:
            requests.take_back(session, principal(), site, now())
        flash("The organization stays. Its keys work again.")
    except Conflict as refusal:
        flash(refusal.message)
    return redirect(url_for("dashboard.settings.show", slug=slug), 303)


def _page(typed: str = "", refusal: BadRequest | None = None) -> Response:
    org_id = principal().org_id
    with transaction(org_id) as session:
        organization = session.get_one(Organization, org_id)
    return page_of(
        "dashboard/settings/delete.html",
        organization=organization,
        loss=requests.loss_of(org_id),
        days=requests.GRACE.days,
        typed=typed,
        problems=problems_of(refusal),
    )
