"""``/dashboard/<slug>/presets``: transformations under a name."""

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Blueprint, flash, redirect, request, url_for
from flask import Response as Page
from pydantic import BeforeValidator, Field
from werkzeug.wrappers import Response

from app.dashboard import transform_form
from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict
from app.models import ExportPreset
from app.services.accounts.permissions import Action
from app.services.exports import presets
from app.web.context import container, now, principal, workspace_transaction
from app.web.links import in_mode
from app.web.page_forms import problems_of, refused
from app.web.requirements import Member, requires
from app.web.schema import Name, TransformFields

blueprint = Blueprint("presets", __name__, url_prefix="/dashboard/<slug>/presets")

CHANGE = Member(action=Action.CHANGE_IMAGES, workspace=True)
NAME_LENGTH = 255


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= NAME_LENGTH:
        raise ValueError(f"give the preset a name of 1 to {NAME_LENGTH} characters")
    return text.strip()


class PresetForm(TransformFields):
    name: Annotated[Name, BeforeValidator(_name)] = Field("", validate_default=True)


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Page:
    with workspace_transaction() as session:
        found, uses = presets.find(session), presets.uses(session)
    return page_of(
        "dashboard/library/presets/index.html",
        presets=[(preset, words_of(preset), uses.get(preset.id, 0)) for preset in found],
        site=container().settings.site,
    )


@blueprint.get("/new")
@requires(CHANGE)
def ask_new(slug: str) -> Page:
    """The form of a new preset; ``?copy=`` names one that it begins as."""
    with workspace_transaction() as session:
        if copied := request.args.get("copy"):
            preset = presets.by_id(session, copied)
            name, transform = f"{preset.name[:240]} (copy)", presets.transform_of(preset)
        else:
            name, transform = "", transform_form.defaults(session)
    return _form_of_new({"name": name} | transform_form.values_of(transform))


@blueprint.post("")
@requires(CHANGE)
def create(slug: str) -> Response:
    try:
        wanted = transform_form.read(PresetForm, request.form)
        with workspace_transaction() as session:
            transform = transform_form.transform_of(wanted)
            preset = presets.add(session, wanted.name, transform, now())
    except (BadRequest, Conflict) as refusal:
        return _form_of_new(_typed(), refusal)
    return _to_list(f"The preset “{preset.name}” is made.")


@blueprint.get("/<preset_id>")
@requires(Member())
def show(slug: str, preset_id: str) -> Page:
    return _form_of(preset_id)


@blueprint.post("/<preset_id>")
@requires(CHANGE)
def change(slug: str, preset_id: str) -> Response:
    with workspace_transaction() as session:
        presets.by_id(session, preset_id)
    try:
        wanted = transform_form.read(PresetForm, request.form)
        with workspace_transaction() as session:
            transform = transform_form.transform_of(wanted)
            preset = presets.change(session, preset_id, wanted.name, transform, now())
    except (BadRequest, Conflict) as refusal:
        return _form_of(preset_id, refusal)
    return _to_list(f"The preset “{preset.name}” is saved.")


@blueprint.post("/<preset_id>/delete")
@requires(CHANGE)
def delete(slug: str, preset_id: str) -> Response:
    with workspace_transaction() as session:
        name = presets.delete(session, preset_id)
    return _to_list(f"The preset “{name}” is deleted.")


def words_of(preset: ExportPreset) -> str:
    return presets.in_words(presets.transform_of(preset))


def _form_of_new(values: Mapping[str, Any], refusal: AppError | None = None) -> Page:
    form = page_of(
        "dashboard/library/presets/new.html",
        values=values,
        formats=transform_form.FORMATS,
        problems=problems_of(refusal),
    )
    return refused(form, refusal)


def _form_of(preset_id: str, refusal: AppError | None = None) -> Page:
    with workspace_transaction() as session:
        preset, uses = presets.by_id(session, preset_id), presets.uses(session)
    own = {"name": preset.name} | transform_form.values_of(presets.transform_of(preset))
    form = page_of(
        "dashboard/library/presets/show.html",
        preset=preset,
        words=words_of(preset),
        uses=uses.get(preset.id, 0),
        values=_typed() if refusal else own,
        formats=transform_form.FORMATS,
        problems=problems_of(refusal),
        asked=request.args.get("confirm", ""),
        site=container().settings.site,
    )
    return refused(form, refusal)


def _typed() -> dict[str, Any]:
    return {"name": request.form.get("name", "")[:NAME_LENGTH]} | transform_form.typed(request.form)


def _to_list(said: str) -> Response:
    flash(said)
    return redirect(in_mode(url_for(".index", slug=principal().slug)), 303)
