"""``/api/v1/export-presets``: transformations under a name."""

from typing import Self

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.imaging import Transform
from app.models import ExportPreset
from app.services.exports import presets
from app.web.context import now, workspace_transaction
from app.web.requirements import Workspace, requires
from app.web.schema import SECURITY, Body, Moment, Name, TransformFields, answer, errors, shown

blueprint = APIBlueprint(
    "presets",
    __name__,
    url_prefix="/api/v1/export-presets",
    abp_tags=[Tag(name="Export presets", description="Transformations under a name.")],
)


class Preset(BaseModel):
    id: str = Field(examples=["preset_0mpn9k2ucq3vd1x7b8e5h4zt"])
    name: str = Field(examples=["shopify-thumb"])
    format: str | None = Field(description="Null keeps the asset's own.", examples=["WEBP"])
    quality: int = Field(examples=[85])
    maxWidth: int | None = Field(examples=[800])
    maxHeight: int | None = Field(examples=[800])
    preserveAspect: bool
    createdAt: Moment
    updatedAt: Moment

    @classmethod
    def of(cls, preset: ExportPreset) -> Self:
        transform = presets.transform_of(preset)
        return cls(
            id=preset.id,
            name=preset.name,
            format=transform.format and shown(transform.format),
            quality=transform.quality,
            maxWidth=transform.max_width,
            maxHeight=transform.max_height,
            preserveAspect=transform.preserve_aspect,
            createdAt=preset.created_at,
            updatedAt=preset.updated_at,
        )


class PresetList(BaseModel):
    presets: list[Preset]


class NewPreset(TransformFields, Body):
    """What is left out gets its default, also in a preset that exists."""

    name: Name = Field(examples=["shopify-thumb"])


@blueprint.get(
    "",
    summary="List export presets",
    security=SECURITY,
    responses={200: PresetList, **errors(401, 402, 403)},
)
@requires(Workspace("read"))
def index() -> Response:
    """All presets of the workspace, by name."""
    with workspace_transaction() as session:
        found = presets.find(session)
    return answer(PresetList(presets=[Preset.of(preset) for preset in found]))


@blueprint.post(
    "",
    summary="Create or update an export preset",
    security=SECURITY,
    responses={200: Preset, 201: Preset, **errors(400, 401, 402, 403, 409, 413, 415)},
)
@requires(Workspace("write"))
def save(body: NewPreset) -> Response:
    """Answers 201 for a new name, and 200 where the preset of this name was replaced."""
    with workspace_transaction() as session:
        preset, made = presets.save(session, body.name, body.over(Transform()), now())
    return answer(Preset.of(preset), 201 if made else 200)
