"""``/dashboard/<slug>/library/collections``: the tree of collections.

``templates/dashboard/library/tree.html`` shows the tree beside the images. Its forms work by
themselves; ``tree.js`` sends the same ones and gets JSON.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from flask import Response as Page
from pydantic import BaseModel, BeforeValidator, Field
from werkzeug.wrappers import Response

from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict, NotFound
from app.services.accounts.permissions import Action
from app.services.library import collection_tree, collections
from app.services.library.collection_tree import Tree
from app.tenancy import TenantSession
from app.web.context import now, principal, workspace_transaction
from app.web.errors import validated
from app.web.links import in_mode
from app.web.page_forms import problems_of, refused
from app.web.request import wants_json
from app.web.requirements import Member, requires
from app.web.schema import Color, Id, Name

blueprint = Blueprint("collections", __name__, url_prefix="/dashboard/<slug>/library/collections")

CHANGE = Member(action=Action.CHANGE_IMAGES, workspace=True)
COLORS = {
    "#e5484d": "Red", "#f76b15": "Orange", "#30a46c": "Green", "#12a594": "Teal",
    "#0090ff": "Blue", "#6e56cf": "Violet", "#d6409f": "Pink", "#8d8d86": "Grey",
}  # fmt: skip
"""The colours that the form offers; programs may give any."""
Form = TypeVar("Form", bound=BaseModel)
OrNone = BeforeValidator(lambda text: text or None)


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= 255:
        raise ValueError("give the collection a name of 1 to 255 characters")
    return text.strip()


class Label(BaseModel):
    """Name and colour, as forms send them."""

    name: Annotated[Name, BeforeValidator(_name)] = Field("", validate_default=True)
    color: Annotated[Color | None, OrNone] = None


class Place(BaseModel):
    parentId: Annotated[Id | None, OrNone] = None


class NewCollection(Label, Place):
    """A new collection, in another or at the top."""


def tree_of(session: TenantSession) -> Tree:
    """What ``dashboard/library/tree.html`` shows."""
    return collection_tree.read(session)


@blueprint.get("")
@requires(Member())
def index(slug: str) -> Page:
    """The tree; ``?part=tree`` and ``?part=rows`` are the parts that ``tree.js`` asks for."""
    part = request.args.get("part", "")
    parent_id = request.args.get("parent") or None
    with workspace_transaction() as session:
        tree = tree_of(session)
    if parent_id is not None and parent_id not in tree.nodes:
        raise NotFound("There is no such collection here.")
    return page_of(
        f"dashboard/library/collections/{part if part in ('tree', 'rows') else 'index'}.html",
        tree=tree,
        chosen=request.args.get("chosen", parent_id),
        parent_id=parent_id,
        start=max(0, request.args.get("from", 0, int)),
    )


@blueprint.post("")
@requires(CHANGE)
def create(slug: str) -> Response:
    try:
        wanted = _read(NewCollection)
        with workspace_transaction() as session:
            collection, made = collections.create(
                session, wanted.name, wanted.parentId, wanted.color, now()
            )
    except (BadRequest, Conflict) as refusal:
        if wants_json():
            raise
        return _form_again(refusal)
    said = "is made." if made else "is there already."
    return _done(collection.id, f"The collection “{collection.name}” {said}")


@blueprint.get("/<collection_id>")
@requires(Member(action=Action.CHANGE_IMAGES))
def show(slug: str, collection_id: str) -> Page:
    """All that can be done with a collection; the tree's menu takes its forms from here."""
    return _form_of(collection_id)


@blueprint.post("/<collection_id>")
@requires(CHANGE)
def change(slug: str, collection_id: str) -> Response:
    def label() -> dict[str, Any]:
        return _read(Label).model_dump()

    return _changed(collection_id, label, "The collection is now called “{name}”.", "rename")


@blueprint.post("/<collection_id>/move")
@requires(CHANGE)
def move(slug: str, collection_id: str) -> Response:
    def place() -> dict[str, Any]:
        return {"parent_id": _read(Place).parentId}

    return _changed(collection_id, place, "The collection “{name}” is moved.", "move")


@blueprint.post("/<collection_id>/delete")
@requires(CHANGE)
def delete(slug: str, collection_id: str) -> Response:
    try:
        with workspace_transaction() as session:
            name = collections.delete(session, collection_id)
    except Conflict as refusal:
        if wants_json():
            raise
        return _form_of(collection_id, refusal, "delete")
    return _done(None, f"The collection “{name}” is deleted; its images stay.")


def _changed(
    collection_id: str, read: Callable[[], dict[str, Any]], said: str, form: str
) -> Response:
    """Change a collection by the values that ``read`` takes from the form."""
    try:
        with workspace_transaction() as session:
            collections.get(session, collection_id)
            changed = collections.change(session, collection_id, read(), now())
    except (BadRequest, Conflict) as refusal:
        if wants_json():
            raise
        return _form_of(collection_id, refusal, form)
    return _done(collection_id, said.format(name=changed.name))


def _read(model: type[Form]) -> Form:
    """Raises BadRequest."""
    return validated(model, request.form.to_dict())


def _form_of(collection_id: str, refusal: AppError | None = None, form: str = "") -> Page:
    """The page of one collection. ``form`` is the one that was refused."""
    with workspace_transaction() as session:
        tree = tree_of(session)
    if not (node := tree.nodes.get(collection_id)):
        raise NotFound(f"Collection '{collection_id}' does not exist in this workspace.")
    page = page_of(
        "dashboard/library/collections/show.html",
        node=node,
        tree=tree,
        colors=COLORS,
        form=form,
        typed=request.form if refusal else {},
        problems=problems_of(refusal),
    )
    return refused(page, refusal)


def _form_again(refusal: AppError) -> Page:
    """The form that was to make a collection, at the place where it stood."""
    parent_id = request.form.get("parentId", "")
    with workspace_transaction() as session:
        tree = tree_of(session)
    if parent_id in tree.nodes:
        return _form_of(parent_id, refusal, "inside")
    page = page_of(
        "dashboard/library/collections/index.html",
        tree=tree,
        chosen=None,
        parent_id=None,
        start=0,
        typed=request.form,
        problems=problems_of(refusal),
    )
    return refused(page, refusal)


def _done(collection_id: str | None, said: str) -> Response:
    """Lead to the collection's images, or tell the script what was done."""
    if wants_json():
        return jsonify(id=collection_id, message=said)
    flash(said)
    path = url_for("dashboard.library.index", slug=principal().slug, collectionId=collection_id)
    return redirect(in_mode(path), 303)
