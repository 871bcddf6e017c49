"""``/api/v1/exports``: many assets, transformed, in one ZIP; at once, or by a worker."""

from collections import Counter
from contextlib import ExitStack
from typing import Annotated, Any, Self

from flask import Response, g, stream_with_context
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from app.imaging import Transform
from app.models import Export, ExportStatus
from app.services.exports import export_jobs, exports
from app.services.exports.exports import Config, Progress
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.links import download
from app.web.requirements import Workspace, requires
from app.web.schema import (
    SECURITY,
    Body,
    ById,
    Id,
    Moment,
    Query,
    TransformFields,
    answer,
    at_most,
    errors,
)

blueprint = APIBlueprint(
    "exports",
    __name__,
    url_prefix="/api/v1/exports",
    abp_tags=[Tag(name="Exports", description="Many assets, transformed, in one ZIP.")],
)

MAX_STREAMED_ASSETS = 500
"""Assets of an export that is streamed; more take a batch."""


class ExportConfig(TransformFields, Body):
    """How the assets are transformed and named."""

    renameOnExport: bool = Field(
        False, description="Name entries by `name`; else by `originalName`."
    )


class NewExport(Body):
    assetIds: list[Id] = Field(
        min_length=1,
        max_length=export_jobs.MAX_ASSETS,
        examples=[["image_0mpn9k2ucq3vd1x7b8e5h4zt"]],
    )
    config: ExportConfig = Field(default_factory=ExportConfig)
    async_: bool | None = Field(
        None,
        alias="async",
        validate_default=True,
        description="True has a worker make the ZIP: 202. So do more than "
        f"{MAX_STREAMED_ASSETS} assets, unless it is false.",
    )

    @field_validator("assetIds")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        most, times = Counter(value).most_common(1)[0]
        if times > 1:
            raise ValueError(f"'{most}' is listed twice")
        return value

    @field_validator("async_")
    @classmethod
    def _not_too_many_at_once(cls, value: bool | None, info: ValidationInfo) -> bool:
        many = len(info.data.get("assetIds", [])) > MAX_STREAMED_ASSETS
        if value is False and many:
            raise ValueError(f"at most {MAX_STREAMED_ASSETS} assets without it")
        return many if value is None else value

    @property
    def wanted(self) -> Config:
        return Config(self.config.over(Transform()), self.config.renameOnExport)


class ExportState(BaseModel):
    id: str = Field(examples=["exp_0mpn9k2ucq3vd1x7b8e5h4zt"])
    status: ExportStatus
    processed: int = Field(description="Assets that are done, the failed ones among them.")
    total: int
    failed: int = Field(description="Assets that are listed in the ZIP's `errors.json` instead.")
    size: int | None = Field(description="Bytes of the ZIP.")
    error: str | None = Field(description="Why the export failed.")
    downloadUrl: str | None = Field(
        description="The ZIP, until `expiresAt`, which is earlier where newer ZIPs take its place; "
        "needs no key."
    )
    createdAt: Moment
    finishedAt: Moment | None
    expiresAt: Moment | None

    @classmethod
    def of(cls, export: Export) -> Self:
        return cls(
            id=export.id,
            status=ExportStatus(export.status),
            processed=export.processed,
            total=export.total,
            failed=export.failed,
            size=export.size,
            error=export.error,
            downloadUrl=_download_url(export),
            createdAt=export.created_at,
            finishedAt=export.finished_at,
            expiresAt=export.expires_at,
        )


class ExportList(BaseModel):
    exports: list[ExportState]


class ExportQuery(Query):
    pageSize: Annotated[int, Field(ge=1), at_most(200)] = Field(
        50, description="More than 200 is 200."
    )


def _download_url(export: Export) -> str | None:
    if not export.storage_key or not export.expires_at or export.expires_at <= now():
        return None
    return download(export.storage_key, f"{export.id}.zip", "application/zip", export.expires_at)


ZIP: dict[str, Any] = {
    "description": "The ZIP, while it is made.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}


@blueprint.post(
    "",
    summary="Export assets as a ZIP",
    security=SECURITY,
    responses={200: ZIP, 202: ExportState, **errors(400, 401, 402, 403, 404, 413, 415)},
)
@requires(Workspace("write"))
def create(body: NewExport) -> Response:
    """Streams a ZIP of up to 500 assets, in the order given, while the images are made.

    An asset that fails is listed in `errors.json` inside the ZIP. With `async`, or with more
    assets, a worker makes the ZIP: the answer is 202, and `GET /api/v1/exports/{id}` tells how far
    it is. Such ZIPs may have half of the plan's storage beside the assets (with test keys 125 MB):
    the oldest make room, and a larger one fails. An `Idempotency-Key` keeps that answer, but no
    streamed ZIP: the same export again costs nothing, as long as its images are there. While the
    server is busy sending others, a streamed ZIP is refused with 503; one with `async` is not.
    """
    who = principal()
    if not body.async_:
        return _stream(body)
    with workspace_transaction() as session:
        export = export_jobs.create(session, who, body.assetIds, body.wanted, now(), g.claim)
    export_jobs.enqueue(container().redis, export_jobs.due(export))
    response = answer(ExportState.of(export), 202)
    response.location = f"{blueprint.url_prefix}/{export.id}"
    return response


def _stream(body: NewExport) -> Response:
    """Stream the ZIP. All errors are raised before the first byte.

    The export holds a place among the streamed ZIPs, whose readers may be slow, and none in
    ``image_work``: its images are queued in the pool with all others.
    """
    who = principal()
    with workspace_transaction() as session:
        exports.check(session, who, body.assetIds, body.wanted, now())
    with ExitStack() as cleanup:
        context = cleanup.enter_context(processing(container().zip_streams))
        chunks = exports.zip_of(
            who, body.assetIds, body.wanted, context.without_deadline, Progress()
        )
        response = Response(stream_with_context(chunks), mimetype="application/zip")
        response.headers["Content-Disposition"] = 'attachment; filename="export.zip"'
        response.call_on_close(cleanup.pop_all().close)
    return response


@blueprint.get(
    "",
    summary="List batch exports",
    security=SECURITY,
    responses={200: ExportList, **errors(400, 401, 402, 403)},
)
@requires(Workspace("read"))
def index(query: ExportQuery) -> Response:
    """The newest batch exports; they are remembered for 30 days."""
    with workspace_transaction() as session:
        found = export_jobs.newest(session, query.pageSize)
    return answer(ExportList(exports=[ExportState.of(export) for export in found]))


@blueprint.get(
    "/<id>",
    summary="Get a batch export",
    security=SECURITY,
    responses={200: ExportState, **errors(401, 402, 403, 404)},
)
@requires(Workspace("read"))
def show(path: ById) -> Response:
    """How far it is, and where its ZIP is for a day, or until newer ones take its place."""
    with workspace_transaction() as session:
        return answer(ExportState.of(export_jobs.get(session, path.id)))


@blueprint.delete(
    "/<id>",
    summary="Cancel a batch export",
    security=SECURITY,
    responses={204: None, **errors(401, 402, 403, 404)},
)
@requires(Workspace("write"))
def delete(path: ById) -> tuple[str, int]:
    """Ends one that is unfinished. A finished one is forgotten, and its ZIP removed."""
    with workspace_transaction() as session:
        export_jobs.cancel_or_delete(session, path.id, now())
    return "", 204
