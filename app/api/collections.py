"""``/api/v1/collections``: folders of assets, in a tree."""

from typing import Annotated, Any, Self

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.models import Collection
from app.services.library import collections
from app.web.context import now, workspace_transaction
from app.web.requirements import Workspace, requires
from app.web.schema import (
    SECURITY,
    Body,
    ById,
    Color,
    Id,
    Moment,
    Name,
    Printable,
    Query,
    Unchangeable,
    answer,
    check_unchanged,
    errors,
)

blueprint = APIBlueprint(
    "collections",
    __name__,
    url_prefix="/api/v1/collections",
    abp_tags=[Tag(name="Collections", description="Folders of assets, in a tree.")],
)

TOP = "null"
"""How a query string says that there is no parent."""


class CollectionItem(BaseModel):
    id: str = Field(examples=["col_0mpn9k2ucq3vd1x7b8e5h4zt"])
    name: str = Field(examples=["Campaign Q2"])
    parentId: str | None
    color: str | None = Field(examples=["#6366f1"])
    createdAt: Moment

    @classmethod
    def of(cls, collection: Collection) -> Self:
        return cls(
            id=collection.id,
            name=collection.name,
            parentId=collection.parent_id,
            color=collection.color,
            createdAt=collection.created_at,
        )


class CollectionList(BaseModel):
    collections: list[CollectionItem]


class CollectionQuery(Query):
    null_is_a_value = frozenset({"parentId"})

    name: Annotated[str, Field(max_length=255), Printable] | None = Field(
        None, description="Exactly this name."
    )
    parentId: Id | None = Field(
        None, description="Directly in this collection; `null` for those in none."
    )


class NewCollection(Body):
    name: Name = Field(examples=["Campaign Q2"])
    parentId: Id | None = Field(
        None,
        description="In which one it is looked for, and made; `null` for none. Left out: looked "
        "for everywhere.",
        examples=[None],
    )
    color: Color | None = None


class CollectionChanges(Body):
    """What is left out stays as it is. The whole collection may be sent back, as it was got."""

    name: Name = Field(default_factory=str)
    parentId: Id | None = None
    color: Color | None = None
    id: Unchangeable
    createdAt: Unchangeable


COLUMNS = {"name": "name", "parentId": "parent_id", "color": "color"}
KEPT = ("id", "createdAt")


@blueprint.get(
    "",
    summary="List collections",
    security=SECURITY,
    responses={200: CollectionList, **errors(400, 401, 402, 403)},
)
@requires(Workspace("read"))
def index(query: CollectionQuery) -> Response:
    """All collections of the workspace, by name; or those of one name, or in one collection."""
    chosen: dict[str, Any] = {"name": query.name}
    if query.parentId is not None:
        chosen["parent_id"] = None if query.parentId == TOP else query.parentId
    with workspace_transaction() as session:
        found = collections.find(session, **chosen)
    return answer(CollectionList(collections=[CollectionItem.of(one) for one in found]))


@blueprint.post(
    "",
    summary="Create a collection",
    security=SECURITY,
    responses={
        200: CollectionItem,
        201: CollectionItem,
        **errors(400, 401, 402, 403, 409, 413, 415),
    },
)
@requires(Workspace("write"))
def create(body: NewCollection) -> Response:
    """Answers 201, or 200 with the collection of this name that is there already.

    It is looked for under `parentId`, also where that is null. Without `parentId`, wherever it
    lies, the topmost first.
    """
    parent = body.parentId if "parentId" in body.model_fields_set else collections.ANY
    with workspace_transaction() as session:
        collection, made = collections.create(session, body.name, parent, body.color, now())
    return answer(CollectionItem.of(collection), 201 if made else 200)


@blueprint.get(
    "/<id>",
    summary="Get a collection",
    security=SECURITY,
    responses={200: CollectionItem, **errors(401, 402, 403, 404)},
)
@requires(Workspace("read"))
def show(path: ById) -> Response:
    """One collection, as the list shows it."""
    with workspace_transaction() as session:
        return answer(CollectionItem.of(collections.get(session, path.id)))


@blueprint.patch(
    "/<id>",
    summary="Change a collection",
    security=SECURITY,
    responses={200: CollectionItem, **errors(400, 401, 402, 403, 404, 409, 413, 415)},
)
@requires(Workspace("write"))
def update(path: ById, body: CollectionChanges) -> Response:
    """Renames, recolours or moves it; it can't lie within itself."""
    changes = {
        COLUMNS[field]: getattr(body, field) for field in COLUMNS if field in body.model_fields_set
    }
    with workspace_transaction() as session:
        changed = CollectionItem.of(collections.change(session, path.id, changes, now()))
        check_unchanged(body, KEPT, changed)
    return answer(changed)


@blueprint.delete(
    "/<id>",
    summary="Delete a collection",
    security=SECURITY,
    responses={204: None, **errors(401, 402, 403, 404, 409)},
)
@requires(Workspace("write"))
def delete(path: ById) -> tuple[str, int]:
    """Its assets stay, without a collection. One that has collections in it answers 409: nothing is
    lost unasked."""
    with workspace_transaction() as session:
        collections.delete(session, path.id)
    return "", 204
