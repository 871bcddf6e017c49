"""``/dashboard/<slug>/settings``: what owners and admins choose for the organization."""

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from app.dashboard import data_export
from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict
from app.extensions import transaction
from app.imaging import Format
from app.models import Organization
from app.services.accounts import organizations, settings
from app.services.accounts.permissions import Action
from app.services.accounts.settings import Preferences
from app.services.library import allowed_hosts
from app.web import links
from app.web.context import now, principal
from app.web.page_forms import problems_of, refused
from app.web.requirements import Member, requires

blueprint = Blueprint("settings", __name__, url_prefix="/dashboard/<slug>/settings")

MAX_TEXT = 255
"""Characters of a field that are read and shown again."""
MAX_SHORT = 64


@blueprint.get("")
@requires(Member())
def show(slug: str) -> Response:
    return _page()


@blueprint.post("/name")
@requires(Member(action=Action.RENAME))
def rename(slug: str) -> Response:
    name, chosen_slug = _typed("name"), _typed("slug", MAX_SHORT)
    try:
        with transaction(principal().org_id) as session:
            organizations.rename(session, principal(), name, chosen_slug, now())
            slug = str(session.get_one(Organization, principal().org_id).slug)
    except (BadRequest, Conflict) as refusal:
        return _page(refusal, name=name, slug=chosen_slug)
    return _saved(slug, "The name was saved.")


@blueprint.post("/preferences")
@requires(Member(action=Action.RENAME))
def change_preferences(slug: str) -> Response:
    typed = {name: _typed(name, MAX_SHORT) for name in ("timeZone", "quality", "format")}
    try:
        chosen = Preferences.read(typed["timeZone"], typed["quality"], typed["format"])
        with transaction(principal().org_id) as session:
            settings.change(session, principal(), chosen, now())
    except BadRequest as refusal:
        return _page(refusal, **typed)
    return _saved(slug, "The preferences were saved.")


@blueprint.post("/hosts")
@requires(Member(action=Action.MANAGE_HOSTS))
def allow_host(slug: str) -> Response:
    host = _typed("host")
    try:
        with transaction(principal().org_id) as session:
            name = allowed_hosts.allow(session, host, principal().actor, now())
    except (BadRequest, Conflict) as refusal:
        return _page(refusal, host=host)
    return _saved(slug, f"Images may be fetched from {name}.")


@blueprint.post("/hosts/remove")
@requires(Member(action=Action.MANAGE_HOSTS))
def remove_host(slug: str) -> Response:
    host = _typed("host")
    with transaction(principal().org_id) as session:
        allowed_hosts.forget(session, host, principal().actor, now())
    return _saved(slug, f"Images are not fetched from {host} any more.")


def _page(refusal: AppError | None = None, **typed: str) -> Response:
    """The page. After a refusal the fields hold what was typed."""
    with transaction(principal().org_id) as session:
        organization = session.get_one(Organization, principal().org_id)
        hosts = allowed_hosts.list_of(session)
    page = page_of(
        "dashboard/settings/index.html",
        organization=organization,
        values=_values(organization) | typed,
        address=links.absolute(url_for("dashboard.overview.show", slug=organization.slug)),
        problems=problems_of(refusal),
        hosts=hosts,
        time_zones=[(zone, zone.replace("_", " ")) for zone in settings.time_zones()],
        formats=[("", "As the original"), *((one.value, one.name) for one in Format)],
        may_change=principal().may(Action.RENAME),
        may_manage_hosts=principal().may(Action.MANAGE_HOSTS),
        may_export=principal().may(Action.EXPORT_DATA),
        may_delete=principal().may(Action.DELETE),
        **data_export.values(),
    )
    return refused(page, refusal)


def _values(organization: Organization) -> dict[str, Any]:
    return {
        "name": organization.name,
        "slug": organization.slug,
        "timeZone": organization.time_zone,
        "quality": organization.default_quality,
        "format": organization.default_format or "",
        "host": "",
    }


def _typed(name: str, length: int = MAX_TEXT) -> str:
    return request.form.get(name, "").replace("\0", "")[:length].strip()


def _saved(slug: str, message: str) -> Response:
    flash(message)
    return redirect(url_for(".show", slug=slug), 303)
