"""``/dashboard/<slug>/library/bulk``: changes of the images that were chosen in the library.

``library.js`` asks for JSON; a plain form is led back to where it was sent from, with a sentence.
"""

from collections.abc import Sequence

from flask import Blueprint, flash, jsonify, redirect, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from app.dashboard import wording
from app.errors import BadRequest
from app.services.accounts.permissions import Action
from app.services.library import bulk, collections, trash
from app.services.library.bulk import Done
from app.services.library.folding import MAX_TAG
from app.services.library.labels import MAX_TAGS
from app.web import links
from app.web.asset_filters import AssetQuery
from app.web.context import now, principal, workspace_transaction
from app.web.request import wants_json
from app.web.requirements import Member, requires

blueprint = Blueprint("bulk", __name__, url_prefix="/dashboard/<slug>/library/bulk")

ORGANIZE = Member(action=Action.CHANGE_IMAGES, workspace=True)


@blueprint.post("/tags")
@requires(ORGANIZE)
def tag(slug: str) -> Response:
    """``how`` is ``add`` or ``remove``; ``tags`` as the API's lists take them."""
    ids, wanted = _ids(), _tags()
    change = bulk.remove_tags if request.form.get("how") == "remove" else bulk.add_tags
    with workspace_transaction() as session:
        done = change(session, ids, wanted)
    words = "Tags of {} changed." + (
        f" {wording.images(len(done.full))} would have more than {MAX_TAGS} tags and stayed as "
        "they were." if done.full else ""
    )  # fmt: skip
    return _answer(done, words)


@blueprint.post("/move")
@requires(ORGANIZE)
def move(slug: str) -> Response:
    """To the collection ``collectionId``; to none if it is empty."""
    ids, collection_id = _ids(), request.form.get("collectionId") or None
    with workspace_transaction() as session:
        done = bulk.move(session, ids, collection_id)
        name = collections.name_of(session, collection_id)
    return _answer(done, f"{{}} moved to {f'“{name}”' if name else 'no collection'}.", name=name)


@blueprint.post("/trash")
@requires(Member(action=Action.CHANGE_IMAGES))
def put_in_trash(slug: str) -> Response:
    ids = _ids()
    with workspace_transaction() as session:
        moved = trash.put(session, principal().actor, ids, now())
    return _answer(bulk.done(ids, set(ids) & set(moved), set(moved)), "{} moved to the trash.")


def _ids() -> list[str]:
    """Raises BadRequest."""
    ids = request.form.getlist("ids")
    if not ids and not wants_json():
        return []
    bulk.check_ids(ids)
    return ids


def _tags() -> list[str]:
    """Raises BadRequest."""
    sent = MultiDict([("tags", text) for text in request.form.getlist("tags")])
    tags = AssetQuery.read(sent).tags
    if not tags or any(len(tag) > MAX_TAG for tag in tags):
        problem = f"tags: write at least one, each of at most {MAX_TAG} characters"
        raise BadRequest.of_fields([problem], problem)
    return tags


def _answer(done: Done, words: str, **more: str | None) -> Response:
    if wants_json():
        return jsonify(changed=done.changed, unknown=done.unknown, full=done.full, **more)
    chosen: Sequence[str] = request.form.getlist("ids")
    said = words.replace("{}", wording.images(len(done.changed)), 1)
    flash(said if chosen else "Choose images first.")
    return redirect(links.next_path(request.referrer), 303)
