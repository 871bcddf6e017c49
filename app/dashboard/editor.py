"""``/dashboard/<slug>/assets/<asset_id>/edit``: a chain of operations, seen before it is saved.

The page's script sends the chain as the API takes it. A new image is saved under an
``Idempotency-Key``, so that a double click or a repetition after a lost connection makes one.
"""

import json
from typing import Annotated, Any, TypeVar

from flask import Blueprint, flash, jsonify, redirect, request
from flask import Response as Answer
from pydantic import BaseModel, Field
from werkzeug.wrappers import Response

from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest
from app.models import Asset, MediaType
from app.services.accounts.permissions import Action
from app.services.library import assets, images, listing, previews
from app.services.library.previews import SIDE
from app.web import image_making, links
from app.web.context import container, principal, processing, workspace_transaction
from app.web.errors import validated
from app.web.operations import MAX_OPERATIONS, MAX_SIDE, Named, Step, TransformBody
from app.web.requirements import Member, requires

blueprint = Blueprint("editor", __name__, url_prefix="/dashboard/<slug>/assets/<asset_id>/edit")

EDIT = Member(action=Action.CHANGE_IMAGES)
CHOICE = 24
"""How many pictures are offered as watermarks at a time."""
Wanted = TypeVar("Wanted", bound=BaseModel)


class PreviewBody(TransformBody):
    """A chain, maybe an empty one. Its first ``shown`` operations are to be seen, all if None, at
    most ``side`` pixels a side."""

    operations: list[Step] = Field(max_length=MAX_OPERATIONS)
    shown: Annotated[int, Field(ge=0, le=MAX_OPERATIONS)] | None = None
    side: int = Field(1200, ge=100, le=SIDE)


@blueprint.get("")
@requires(EDIT)
def show(slug: str, asset_id: str) -> Answer | Response:
    with workspace_transaction() as session:
        asset = assets.get(session, asset_id)
    if asset.media_type == MediaType.VIDEO:
        flash("Videos can't be edited.")
        return redirect(links.in_mode(f"/dashboard/{slug}/assets/{asset_id}"), 303)
    return page_of(
        "dashboard/library/editor.html",
        image=asset,
        has_model=image_making.finds_subjects(),
        site=container().settings.site,
        max_side=MAX_SIDE,
    )


@blueprint.post("/preview")
@requires(EDIT)
def preview(slug: str, asset_id: str) -> Answer:
    """A picture. Its headers tell the sizes in pixels before the first operation and after each,
    and what is wrong with operations that are not shown."""
    _require_image(asset_id)
    body = _body(PreviewBody)
    asked = body.asked()
    wanted = image_making.wanted_image(asset_id, asked[: body.shown])
    with processing(container().image_work) as context:
        shown = previews.preview(
            principal(), wanted.image, wanted.layers, wanted.transform, body.side, context
        )
    response = Answer(shown.content, content_type=shown.media_type)
    sizes = image_making.sizes(wanted.image, asked)
    response.headers["X-Image-Sizes"] = " ".join(f"{width}x{height}" for width, height in sizes)
    if body.shown is not None:
        try:
            image_making.wanted_image(asset_id, asked)
        except AppError as refusal:
            problems = refusal.errors or [refusal.message]
            response.headers["X-Image-Problems"] = json.dumps(problems)
    return response


@blueprint.post("")
@requires(EDIT)
def save(slug: str, asset_id: str) -> tuple[Answer, int]:
    """Saves the chain as a new image, as ``POST /v1/images/<id>/transform`` does."""
    _require_image(asset_id)
    _require_key()
    body = _body(TransformBody)
    return _saved(slug, image_making.image_of_operations(asset_id, body.name, body.asked()))


@blueprint.post("/remove-background")
@requires(EDIT)
def remove_background(slug: str, asset_id: str) -> tuple[Answer, int]:
    _require_image(asset_id)
    _require_key()
    body = _body(Named)
    return _saved(slug, image_making.image_without_background(asset_id, body.name))


@blueprint.get("/pictures")
@requires(EDIT)
def pictures(slug: str, asset_id: str) -> Answer:
    """The newest images that match ``q``, to choose a watermark from."""
    chosen = listing.Filter(q=request.args.get("q", "")[:255] or None, media_type=MediaType.IMAGE)
    with workspace_transaction() as session:
        assets.get(session, asset_id)
        found = listing.page_of(session, chosen, listing.Sort.UPLOADED_DESC, CHOICE + 1).assets
    others = [asset for asset in found if asset.id != asset_id][:CHOICE]
    return jsonify([_choice(asset) for asset in others])


def _choice(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.id,
        "name": asset.name,
        "width": asset.width,
        "height": asset.height,
        "thumbnail": links.thumbnail(asset.thumbnail_key),
    }


def _saved(slug: str, image: Asset) -> tuple[Answer, int]:
    path = f"/dashboard/{slug}/assets/{image.id}"
    edit = links.in_mode(f"{path}/edit")
    return jsonify(id=image.id, url=links.in_mode(path), edit=edit), 201


def _require_image(asset_id: str) -> None:
    """Raises NotFound, also for a video, whatever else is wrong with the request."""
    with workspace_transaction() as session:
        images.get(session, asset_id)


def _require_key() -> None:
    """Raises BadRequest: without the key, a repetition would make a second image."""
    if "Idempotency-Key" not in request.headers:
        raise BadRequest("Send an Idempotency-Key, which makes a repetition harmless.")


def _body(model: type[Wanted]) -> Wanted:
    """Raises BadRequest, which names each field."""
    return validated(model, request.get_json())
