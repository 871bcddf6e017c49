"""``/api/v1/assets``: the workspace's images and videos."""

from typing import Annotated, Any, Literal, Self

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
)

from app.models import Asset, MediaType
from app.services.filenames import clean_name
from app.services.library import assets, listing, trash, uploads
from app.services.library.assets import Label
from app.services.library.uploads import DeclaredFile
from app.web.asset_filters import AssetQuery
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.labels import Tags
from app.web.links import absolute, thumbnail
from app.web.requirements import Workspace, requires
from app.web.schema import (
    SECURITY,
    Body,
    ById,
    Id,
    Moment,
    Name,
    Printable,
    Unchangeable,
    answer,
    check_unchanged,
    errors,
)

blueprint = APIBlueprint(
    "assets",
    __name__,
    url_prefix="/api/v1/assets",
    abp_tags=[Tag(name="Assets", description="The workspace's images and videos.")],
)

MAX_FILE_BYTES = 2**40
Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]


class AssetItem(BaseModel):
    id: str = Field(examples=["image_0mpn9k2ucq3vd1x7b8e5h4zt"])
    name: str = Field(examples=["hero-2024.jpg"])
    originalName: str = Field(examples=["hero.jpg"])
    size: int = Field(description="Bytes.", examples=[182341])
    mimeType: str = Field(examples=["image/jpeg"])
    mediaType: MediaType
    storageKey: str
    tags: list[str]
    collectionId: str | None
    locationX: float
    locationY: float
    width: int = Field(description="Pixels, of the upright picture.")
    height: int
    durationMs: int | None = Field(description="Of a video.")
    thumbnailUrl: str = Field(description="A WebP of at most 480 pixels a side, for about an hour.")
    uploadedAt: Moment

    @classmethod
    def of(cls, asset: Asset) -> Self:
        return cls(
            id=asset.id,
            name=asset.name,
            originalName=asset.original_name,
            size=asset.size,
            mimeType=asset.mime_type,
            mediaType=MediaType(asset.media_type),
            storageKey=asset.storage_key,
            tags=asset.tags,
            collectionId=asset.collection_id,
            locationX=asset.location_x,
            locationY=asset.location_y,
            width=asset.width,
            height=asset.height,
            durationMs=asset.duration_ms,
            thumbnailUrl=thumbnail(asset.thumbnail_key),
            uploadedAt=asset.uploaded_at,
        )


class AssetList(BaseModel):
    items: list[AssetItem]
    page: int | None = Field(description="Null for a page that was asked for by cursor.")
    pageSize: int
    total: int
    totalPages: int
    totalIsExact: bool = Field(
        description="False where over 10,000 match several filters: then `total` is 10,000."
    )
    nextCursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null at the end."
    )


class NewAsset(Body):
    """Send `presign` first, PUT the file to the `uploadUrl`, then send `finalize` with the
    `storageKey`."""

    mode: Literal["presign", "finalize"]
    originalName: Annotated[Name, AfterValidator(clean_name)] = Field(examples=["hero.jpg"])
    mimeType: Annotated[str, Field(min_length=1, max_length=64), Printable] = Field(
        examples=["image/jpeg"]
    )
    size: int = Field(ge=1, le=MAX_FILE_BYTES, description="Bytes, exactly.", examples=[182341])
    storageKey: Annotated[str, Field(max_length=512), Printable] | None = Field(
        None, validate_default=True, description="With `finalize`: as `presign` answered it."
    )
    name: Name | None = Field(None, description="With `finalize`; `originalName` by default.")
    tags: Tags = Field(default=[], description="With `finalize`.", examples=[["hero", "2024"]])
    collectionId: Id | None = Field(None, description="With `finalize`.")
    locationX: Coordinate = 0
    locationY: Coordinate = 0

    @field_validator("storageKey")
    @classmethod
    def _required_to_finalize(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("mode") == "finalize":
            raise ValueError("is required with mode 'finalize'")
        return value

    @property
    def declared(self) -> DeclaredFile:
        return DeclaredFile(self.originalName, self.mimeType.lower(), self.size)

    @property
    def label(self) -> Label:
        name = self.name or self.originalName
        return Label(name, tuple(self.tags), self.collectionId, self.locationX, self.locationY)


class Presigned(BaseModel):
    uploadUrl: str = Field(description="PUT the file's bytes here, with these headers.")
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = Field(examples=[{"Content-Type": "image/jpeg"}])
    storageKey: str = Field(examples=["orgs/org_…/2026/04/0d9c…-hero.jpg"])
    expiresAt: Moment


class PresignedOrAsset(RootModel[Presigned | AssetItem]):
    """The upload that was asked for, or the asset that was made of it before."""


class AssetChanges(Body):
    """What is left out stays as it is. The whole asset may be sent back, as it was got."""

    name: Name = Field(default_factory=str)
    tags: Tags = Field(default_factory=list, examples=[["marketing", "q2"]])
    collectionId: Id | None = None
    locationX: Coordinate = 0
    locationY: Coordinate = 0
    id: Unchangeable
    originalName: Unchangeable
    size: Unchangeable
    mimeType: Unchangeable
    mediaType: Unchangeable
    storageKey: Unchangeable
    width: Unchangeable
    height: Unchangeable
    durationMs: Unchangeable
    uploadedAt: Unchangeable
    thumbnailUrl: Any = Field(None, description="Ignored: it is another each hour.")


COLUMNS = {
    "name": "name",
    "tags": "tags",
    "collectionId": "collection_id",
    "locationX": "location_x",
    "locationY": "location_y",
}
KEPT = AssetChanges.model_fields.keys() - COLUMNS.keys() - {"thumbnailUrl"}


@blueprint.get(
    "",
    summary="List assets",
    security=SECURITY,
    responses={200: AssetList, **errors(400, 401, 402, 403)},
)
@requires(Workspace("read"))
def index(query: AssetQuery) -> Response:
    """Newest first unless sorted otherwise. `total` is kept, not counted: exact without a filter
    and for any one."""
    with workspace_transaction() as session:
        found = listing.page_of(
            session, query.filter, query.sort, query.pageSize, page=query.page, cursor=query.cursor
        )
        page = AssetList(
            items=[AssetItem.of(asset) for asset in found.assets],
            page=None if query.cursor else query.page,
            pageSize=query.pageSize,
            total=found.total,
            totalPages=-(-found.total // query.pageSize),
            totalIsExact=found.total_is_exact,
            nextCursor=found.next_cursor,
        )
    return answer(page)


@blueprint.post(
    "",
    summary="Upload an asset",
    security=SECURITY,
    responses={
        200: PresignedOrAsset,
        201: AssetItem,
        **errors(400, 401, 402, 403, 404, 409, 413, 415, 422),
    },
)
@requires(Workspace("write"))
def create(body: NewAsset) -> Response:
    """In two steps. `presign` answers 200 with a URL that takes one PUT of exactly this size and
    type for 15 minutes.

    `finalize` looks at what was uploaded, whatever was declared, and answers 201 with the asset;
    the same `storageKey` again answers 200 with the same asset. An original is free; it counts
    against the plan's storage.
    """
    if body.mode == "presign":
        ticket = uploads.presign(principal(), body.declared, container().storage, now())
        presigned = Presigned(
            uploadUrl=absolute(ticket.upload.url),
            headers=ticket.upload.headers,
            storageKey=ticket.storage_key,
            expiresAt=ticket.expires_at,
        )
        return answer(presigned)
    with processing(container().image_work) as context:
        asset, made = uploads.finalize(
            principal(), body.storageKey or "", body.declared, body.label, context
        )
    return answer(AssetItem.of(asset), 201 if made else 200)


@blueprint.get(
    "/<id>",
    summary="Get an asset",
    security=SECURITY,
    responses={200: AssetItem, **errors(401, 402, 403, 404)},
)
@requires(Workspace("read"))
def show(path: ById) -> Response:
    """One asset, as the list shows it."""
    with workspace_transaction() as session:
        return answer(AssetItem.of(assets.get(session, path.id)))


@blueprint.patch(
    "/<id>",
    summary="Change an asset",
    security=SECURITY,
    responses={200: AssetItem, **errors(400, 401, 402, 403, 404, 409, 413, 415)},
)
@requires(Workspace("write"))
def update(path: ById, body: AssetChanges) -> Response:
    """Sets name, tags, collection or location; `collectionId` null takes it out of its
    collection."""
    changes = {
        COLUMNS[field]: getattr(body, field) for field in COLUMNS if field in body.model_fields_set
    }
    with workspace_transaction() as session:
        changed = AssetItem.of(assets.change(session, path.id, changes))
        check_unchanged(body, KEPT, changed)
    return answer(changed)


@blueprint.delete(
    "/<id>",
    summary="Delete an asset",
    security=SECURITY,
    responses={204: None, **errors(401, 402, 403, 404)},
)
@requires(Workspace("write"))
def delete(path: ById) -> tuple[str, int]:
    """Gone at once, with its renditions, and its public URL. It is in the dashboard's trash for 30
    days, where it can be restored, and counts as storage until then."""
    with workspace_transaction() as session:
        trash.put_one(session, principal().actor, path.id, now())
    return "", 204
