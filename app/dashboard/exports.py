"""``/dashboard/<slug>/exports``: batch exports, from their form to their ZIP.

The form is of chosen images (``choose``) or of all that a list shows (``new``). It brings along the
id of its export, so that a form that is sent twice makes one.
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask import Response as Page
from werkzeug.wrappers import Response

from app.dashboard import batch_form
from app.dashboard.batch_form import Wanted
from app.dashboard.frame import page_of
from app.errors import (
    AppError,
    BadRequest,
    CapReached,
    Conflict,
    NotFound,
    QuotaExceeded,
    RateLimited,
)
from app.models import Export, new_id
from app.services.accounts.permissions import Action
from app.services.exports import export_jobs, export_views, presets
from app.services.exports.export_views import ShownExport
from app.web.context import container, now, principal, workspace_transaction
from app.web.links import download as signed_url
from app.web.links import in_mode
from app.web.page_forms import problems_of, refused, sign, signed
from app.web.pages import STOP_POLLING, page
from app.web.requirements import Member, requires

blueprint = Blueprint("exports", __name__, url_prefix="/dashboard/<slug>/exports")

CHANGE = Member(action=Action.CHANGE_IMAGES, workspace=True)
CANCEL = Member(action=Action.CHANGE_IMAGES)
FORM, FORM_VALID = "export form", timedelta(hours=12)
PAGE_SIZE = 50
SOON = timedelta(seconds=15)
"""For this long the pages ask each second, then every three."""


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Page:
    with workspace_transaction() as session:
        before = request.args.get("before", "")[:32]
        found = export_jobs.newest(session, PAGE_SIZE + 1, before)
        exports = export_views.shown(session, found[:PAGE_SIZE])
    more = exports[-1].export.id if len(found) > PAGE_SIZE else None
    values = {"exports": exports, "more": more, "before": before}
    return _live("index", exports, **values, site=container().settings.site)


@blueprint.get("/new")
@requires(CHANGE)
def ask_new(slug: str) -> Page:
    """The form for all that a list shows, or for the images of an earlier export (``?again=``)."""
    if again := request.args.get("again", "")[:32]:
        with workspace_transaction() as session:
            wanted = Wanted.again(session, again)
        return _form(wanted)
    return _form(Wanted.of_list(request.args))


@blueprint.post("/choose")
@requires(CHANGE)
def choose(slug: str) -> Page:
    """The form for chosen images, whose ids a form may also give in one field."""
    return _form(Wanted.read(request.form))


@blueprint.post("/figures")
@requires(CHANGE)
def figures(slug: str) -> Page:
    """The part of the form that says what the export will count, for htmx."""
    values: dict[str, Any] = {"problem": "", "figures": None}
    try:
        wanted = Wanted.read(request.form)
        with workspace_transaction() as session:
            values["figures"] = batch_form.figures(session, wanted)
    except (BadRequest, NotFound) as refusal:
        values["problem"] = refusal.message
    return page("dashboard/library/exports/figures.html", is_live=principal().is_live, **values)


@blueprint.post("")
@requires(CHANGE)
def create(slug: str) -> Response:
    wanted = Wanted.read(request.form)
    try:
        export_id = _id_of_form()
        with workspace_transaction() as session:
            ids = batch_form.images(session, wanted)
            config = batch_form.config(session, wanted)
            export = export_jobs.create(
                session, principal(), ids, config, now(), export_id=export_id
            )
    except Conflict as refusal:
        again = f"{refusal.message} Start once more for another one."
        return _form(wanted, Conflict(again))
    except (BadRequest, NotFound, RateLimited, QuotaExceeded, CapReached) as refusal:
        return _form(wanted, refusal)
    export_jobs.enqueue(container().redis, export_jobs.due(export))
    return _to("show", export.id)


@blueprint.get("/<export_id>")
@requires(Member())
def show(slug: str, export_id: str) -> Page:
    with workspace_transaction() as session:
        (shown,) = export_views.shown(session, [export_jobs.get(session, export_id)])
    return _live("show", [shown], shown=shown, asked=request.args.get("confirm", ""))


@blueprint.get("/<export_id>/zip")
@requires(Member())
def download(slug: str, export_id: str) -> Response:
    with workspace_transaction() as session:
        export = export_jobs.get(session, export_id)
    if not export.storage_key or not export.expires_at or export.expires_at <= now():
        flash(
            "This export has no ZIP any more. Make it again: what is there already costs nothing."
        )
        return _to("show", export_id)
    name = f"export-{export.created_at:%Y-%m-%d}-{export.total}-images.zip"
    return redirect(signed_url(export.storage_key, name, "application/zip", export.expires_at), 303)


@blueprint.post("/<export_id>/cancel")
@requires(CANCEL)
def cancel(slug: str, export_id: str) -> Response:
    with workspace_transaction() as session:
        was_running = export_jobs.cancel(session, export_id, now())
    flash("The export is cancelled." if was_running else "The export had ended already.")
    return _to("show", export_id)


@blueprint.post("/<export_id>/delete")
@requires(CANCEL)
def delete(slug: str, export_id: str) -> Response:
    try:
        with workspace_transaction() as session:
            export_jobs.forget(session, export_id, now())
    except Conflict as refusal:
        flash(refusal.message)
        return _to("show", export_id)
    flash("The export and its ZIP are deleted.")
    return _to("index")


def _live(name: str, listed: list[ShownExport], **values: Any) -> Page:
    """A page, or for htmx its part that changes, as long as something runs."""
    running = [shown.export for shown in listed if shown.is_running]
    is_new = any(now() - export.created_at < SOON for export in running)
    values |= {"pause": ("1s" if is_new else "3s") if running else None, "has_zip": _has_zip}
    if "HX-Request" not in request.headers:
        return page_of(f"dashboard/library/exports/{name}.html", **values)
    response = page_of(f"dashboard/library/exports/{name}_state.html", **values)
    if not running:
        response.status = STOP_POLLING
    return response


def _has_zip(export: Export) -> bool:
    return bool(export.storage_key and export.expires_at and export.expires_at > now())


def _form(wanted: Wanted, refusal: AppError | None = None) -> Page:
    """The form. One that was refused because of its images has no figures."""
    problem, found = refusal, None
    with workspace_transaction() as session:
        saved = presets.find(session)
        values = batch_form.values_of(session, wanted)
        try:
            found = batch_form.figures(session, wanted)
        except (BadRequest, NotFound) as unfit:
            problem = problem or unfit
        asked_for = batch_form.words_of(session, wanted)
    form = page_of(
        "dashboard/library/exports/new.html",
        wanted=wanted,
        asked_for=asked_for,
        figures=found,
        values=values,
        presets=[("", "Own settings"), *((preset.id, preset.name) for preset in saved)],
        formats=batch_form.FORMATS,
        problems=problems_of(problem),
        is_live=principal().is_live,
        once=sign(FORM, FORM_VALID, principal().org_id, new_id("exp", now())),
    )
    return refused(form, refusal)


def _id_of_form() -> str:
    """The id that the form's export has. Raises BadRequest for a form of somebody else, or an old
    one."""
    org_id, export_id = signed(FORM, request.form.get("once", "")) or ("", "")
    if org_id != principal().org_id:
        raise BadRequest("This form was open for too long. Send it again.")
    return export_id


def _to(view: str, export_id: str | None = None) -> Response:
    path = url_for(f".{view}", slug=principal().slug, export_id=export_id)
    return redirect(in_mode(path), 303)
