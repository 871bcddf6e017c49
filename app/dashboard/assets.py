"""``/dashboard/<slug>/assets/<asset_id>``: an image or video, and what was made of it.

The forms work by themselves. With htmx each answers with the part of the page that it changes, and
with a toast that takes the change back.
"""

from functools import partial
from typing import Annotated, Any

from flask import Blueprint, flash, redirect, request, send_file
from flask import Response as Page
from markupsafe import Markup
from pydantic import BaseModel, BeforeValidator
from werkzeug.wrappers import Response

from app.dashboard import asset_view
from app.dashboard.export_form import ExportForm
from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict, NotFound
from app.models import MediaType
from app.services.accounts.permissions import Action
from app.services.exports import presets
from app.services.library import assets, details, labels, previews, publishing, trash
from app.services.library.labels import Relabelled, Relabelling
from app.web import links
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.errors import validated
from app.web.labels import Tags
from app.web.page_forms import problems_of, refused
from app.web.pages import page
from app.web.requirements import Member, requires
from app.web.schema import Id, Name

blueprint = Blueprint("assets", __name__, url_prefix="/dashboard/<slug>/assets")

CHANGE = Member(action=Action.CHANGE_IMAGES)
LABEL = Member(action=Action.CHANGE_IMAGES, workspace=True)
MEDIA = {"media-src": "'self'{storage}"}


class LabelForm(BaseModel):
    """What a form sends of an asset's label. What it leaves out stays."""

    name: Annotated[Name, BeforeValidator(str.strip)] = ""
    collectionId: Annotated[Id | None, BeforeValidator(lambda text: text or None)] = None
    tags: Tags = []
    add: Tags = []
    remove: Tags = []

    @property
    def wanted(self) -> Relabelling:
        columns = {"name": "name", "collectionId": "collection_id", "tags": "tags"}
        sent = self.model_fields_set & columns.keys()
        fields = {columns[name]: getattr(self, name) for name in sent}
        return Relabelling(fields, tuple(self.add), tuple(self.remove))


@blueprint.get("/<asset_id>")
@requires(Member())
def show(slug: str, asset_id: str) -> Page:
    return _page(asset_id, asked=request.args.get("confirm", ""))


@blueprint.get("/<asset_id>/view")
@requires(Member())
def view(slug: str, asset_id: str) -> Page:
    """The picture at most 1600 pixels large, in a format that all browsers show."""
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
    if asset.media_type == MediaType.VIDEO:
        raise NotFound(f"Asset '{asset_id}' is a video.")
    with processing(container().image_work) as context:
        path = previews.view_of(principal(), asset, context)
        picture = send_file(path, mimetype=previews.media_type(path), etag=False)
    picture.headers["Cache-Control"] = "no-store"
    return picture


@blueprint.get("/<asset_id>/download")
@requires(Member())
def download(slug: str, asset_id: str) -> Response:
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
    return redirect(asset_view.download_url(asset, inline=False), 303)


@blueprint.get("/<asset_id>/details")
@requires(Member())
def show_details(slug: str, asset_id: str) -> Page:
    """Colours and metadata, which are looked at once."""
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
    try:
        with processing(container().image_work) as context:
            found: dict[str, Any] | None = details.find(principal(), asset, context)
    except FileNotFoundError:
        found = details.UNREADABLE
    if not _is_part():
        return _page(asset_id, found=found)
    return _part("details", asset_id, details=_shown(found))


@blueprint.post("/<asset_id>/label")
@requires(LABEL)
def relabel(slug: str, asset_id: str) -> Response:
    try:
        wanted = _label_form().wanted
        with workspace_transaction() as session:
            done = labels.change(session, asset_id, wanted)
    except (BadRequest, Conflict) as refusal:
        return _refused_label(asset_id, refusal)
    sentence = _sentence(done)
    if not _is_part():
        flash(sentence)
        return _to_page(asset_id)
    former = {"collectionId" if name == "collection_id" else name: value
              for name, value in done.former.items()}  # fmt: skip
    said = request.form.get("undoing") and "Taken back."
    return _part("label", asset_id, toast=said or sentence, former={} if said else former)


@blueprint.post("/<asset_id>/publish")
@requires(CHANGE)
def publish(slug: str, asset_id: str) -> Response:
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
        _check_is_image(asset.media_type)
        publishing.publish(session, asset)
    flash("Published. Everybody who has the link sees it.")
    return _to_page(asset_id)


@blueprint.post("/<asset_id>/unpublish")
@requires(CHANGE)
def unpublish(slug: str, asset_id: str) -> Response:
    with workspace_transaction() as session:
        publishing.unpublish(session, assets.get(session, asset_id))
    flash("Not public any more. Caches forget it within a minute.")
    return _to_page(asset_id)


@blueprint.post("/<asset_id>/delete")
@requires(CHANGE)
def delete(slug: str, asset_id: str) -> Response:
    with workspace_transaction() as session:
        name = assets.get(session, asset_id).name
        trash.put_one(session, principal().actor, asset_id, now())
    flash(_undo_deletion(asset_id, name))
    return redirect(links.in_mode(f"/dashboard/{slug}/library"), 303)


@blueprint.post("/<asset_id>/restore")
@requires(CHANGE)
def restore(slug: str, asset_id: str) -> Response:
    """Take the deletion back. Done twice, it is no error."""
    with workspace_transaction() as session:
        trash.restore(session, [asset_id])
        name = assets.get(session, asset_id).name
    flash(f"“{name}” is back in the library.")
    return _to_page(asset_id)


@blueprint.get("/<asset_id>/export")
@requires(LABEL)
def ask_export(slug: str, asset_id: str) -> Page:
    """Says, for the form as it is, whether the copy is there already, and the request of the
    API."""
    with workspace_transaction() as session:
        form = ExportForm.read(request.args).checked(session, assets.get(session, asset_id))
    if _is_part():
        return refused(_part("export_state", asset_id, form=form), form.refusal)
    return refused(_page(asset_id, form=form), form.refusal)


@blueprint.post("/<asset_id>/export")
@requires(LABEL)
def make_export(slug: str, asset_id: str) -> Page:
    form = ExportForm.read(request.form)
    form = form.made(asset_id, partial(processing, container().image_work))
    if _is_part():
        return refused(_part("export_state", asset_id, form=form), form.refusal)
    return refused(_page(asset_id, form=form), form.refusal)


def _page(
    asset_id: str,
    found: dict[str, Any] | None = None,
    form: ExportForm | None = None,
    refusal: AppError | None = None,
    asked: str = "",
) -> Page:
    with workspace_transaction() as session:
        shown = asset_view.read(session, asset_id)
        known = presets.find(session) if shown.may_label else []
        form = form or ExportForm.read({}).checked(session, shown.asset)
    return page_of(
        "dashboard/library/asset/show.html",
        policy=MEDIA if shown.is_video else None,
        view=shown,
        presets=[(preset.name, preset.name) for preset in known],
        details=_shown(found or shown.asset.details),
        form=form,
        problems=problems_of(refusal),
        asked=asked,
        site=container().settings.site,
    )


def _part(name: str, asset_id: str, **values: Any) -> Page:
    """A part of the page, for htmx."""
    with workspace_transaction() as session:
        shown = asset_view.read(session, asset_id)
    site = container().settings.site
    return page(f"dashboard/library/asset/{name}.html", view=shown, site=site, **values)


def _shown(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Details as a template needs them; None while nobody has looked."""
    if found is None:
        return None
    metadata = found["metadata"]
    facts = None if metadata is None else asset_view.facts_of(metadata)
    return {"colours": found["colours"], "facts": facts}


def _label_form() -> LabelForm:
    """Raises BadRequest. An empty tag stands for none."""
    sent = request.form
    fields: dict[str, Any] = {name: sent[name] for name in ("name", "collectionId") if name in sent}
    for name in ("tags", "add", "remove"):
        if name in sent:
            fields[name] = [tag for text in sent.getlist(name) if (tag := text.strip())]
    return validated(LabelForm, fields)


def _refused_label(asset_id: str, refusal: AppError) -> Page:
    if _is_part():
        return refused(_part("label", asset_id, problems=problems_of(refusal)), refusal)
    return refused(_page(asset_id, refusal=refusal), refusal)


def _sentence(done: Relabelled) -> str:
    former, asset = done.former, done.asset
    if "name" in former:
        return f"Renamed to “{asset.name}”."
    if "collection_id" in former:
        return "Moved." if asset.collection_id else "Taken out of its collection."
    if "tags" in former:
        gone = [tag for tag in former["tags"] if tag not in asset.tags]
        new = [tag for tag in asset.tags if tag not in former["tags"]]
        parts = [f"“{tag}” removed" for tag in gone] + [f"“{tag}” added" for tag in new]
        return f"{', '.join(parts[:3]) or 'Order of tags changed'}."
    return "Nothing changed."


def _undo_deletion(asset_id: str, name: str) -> Markup:
    """The sentence, and a form that brings the image back."""
    action = links.in_mode(f"/dashboard/{principal().slug}/assets/{asset_id}/restore")
    return Markup(
        '“{}” is in the trash. <form method="post" action="{}"><button class="link">Undo</button>'
        "</form>"
    ).format(name, action)


def _check_is_image(media_type: str) -> None:
    if media_type == MediaType.VIDEO:
        raise BadRequest("This asset is a video. Only images can be published.")


def _is_part() -> bool:
    return "HX-Request" in request.headers


def _to_page(asset_id: str) -> Response:
    return redirect(links.in_mode(f"/dashboard/{principal().slug}/assets/{asset_id}"), 303)
