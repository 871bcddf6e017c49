"""``/dashboard/<slug>/settings/data-export``: all that the organization has, as a ZIP."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.errors import Conflict, NotFound
from app.extensions import transaction
from app.services.accounts.permissions import Action
from app.services.exports import data_exports
from app.services.exports.data_exports import UNFINISHED
from app.web.context import container, now, principal
from app.web.pages import STOP_POLLING, page
from app.web.requirements import Member, requires

blueprint = Blueprint("data_export", __name__, url_prefix="/dashboard/<slug>/settings/data-export")

SOON = timedelta(seconds=15)
"""For this long the page asks each second, then every three."""


@blueprint.get("")
@requires(Member(action=Action.EXPORT_DATA))
def progress(slug: str) -> BaseResponse:
    """The part of the page that tells how far the export is, for htmx; others get the page."""
    if "HX-Request" not in request.headers:
        return _to_settings(slug)
    state = values()
    response = page("dashboard/settings/data_export.html", slug=slug, **state)
    if not state["is_running"]:
        response.status = STOP_POLLING
    return response


@blueprint.post("")
@requires(Member(action=Action.EXPORT_DATA, recent=True))
def create(slug: str) -> BaseResponse:
    try:
        with transaction(principal().org_id) as session:
            export = data_exports.create(session, principal(), now())
        data_exports.enqueue(container().redis, data_exports.due(export))
        flash("The export has begun. You get a mail when it is ready.")
    except Conflict as refusal:
        flash(refusal.message)
    return _to_settings(slug)


@blueprint.get("/zip")
@requires(Member(action=Action.EXPORT_DATA, recent=True))
def download(slug: str) -> BaseResponse:
    try:
        with transaction(principal().org_id) as session:
            url = data_exports.download_url(session, principal(), container().storage, now())
    except NotFound as refusal:
        flash(refusal.message)
        return _to_settings(slug)
    return redirect(url, 303)


def _to_settings(slug: str) -> BaseResponse:
    return redirect(url_for("dashboard.settings.show", slug=slug, _anchor="data-export"), 303)


def values() -> dict[str, Any]:
    """What ``dashboard/settings/data_export.html`` shows."""
    with transaction(principal().org_id) as session:
        export = data_exports.newest(session, now())
    is_running = export is not None and export.status in UNFINISHED
    is_new = export is not None and now() - export.created_at < SOON
    return {"export": export, "is_running": is_running, "pause": "1s" if is_new else "3s"}
