"""``POST /compress/batch``: many images in, smaller ones out, in one streamed JSON answer."""

import json
from typing import Any

from flask import Response, g
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.api.usage import UsageNow
from app.errors import TooLarge
from app.services.accounts.principal import Principal
from app.services.compress import Batch, Failure, Result, SourceFile, compress
from app.web import abuse_counts, form_models
from app.web.answers import Base64File, stream
from app.web.compress_form import CompressForm
from app.web.context import container, principal, processing
from app.web.requirements import Key, requires
from app.web.schema import SECURITY, errors

blueprint = APIBlueprint(
    "compress",
    __name__,
    url_prefix="/compress",
    abp_tags=[Tag(name="Compress", description="Make images smaller.")],
)

FILES = "files[]"


class Compressed(BaseModel):
    originalName: str = Field(examples=["photo1.jpg"])
    mimeType: str = Field(examples=["image/jpeg"])
    data: str = Field(
        description="The image, base64.", json_schema_extra={"contentEncoding": "base64"}
    )
    originalSize: int = Field(description="Bytes sent.")
    size: int = Field(description="Bytes returned.")
    width: int
    height: int
    keptOriginal: bool | None = Field(
        None,
        description="True where nothing smaller was possible: the original's pixels, without its "
        "metadata.",
    )


class Failed(BaseModel):
    originalName: str
    error: str


class CompressedBatch(BaseModel):
    processed: int
    results: list[Compressed] = Field(description="In the order sent.")
    failures: list[Failed] | None = Field(
        None, description="With `partial`: the files that could not be read."
    )
    usage: UsageNow
    warnings: list[str] | None = Field(
        None, description="What of the form was ignored: `field: problem`."
    )


REQUEST_BODY = form_models.body(
    FILES,
    {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": "The images; repeat the field. JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP "
        "or camera RAW, told by their content. `files` and `files[0]`, `files[1]` work too.",
    },
    CompressForm,
)


@blueprint.post(
    "/batch",
    summary="Compress a batch of images",
    security=SECURITY,
    request_body=REQUEST_BODY,
    responses={200: CompressedBatch, **errors(400, 401, 403, 409, 413, 415, 422)},
)
@requires(Key("write"))
def batch() -> Response:
    """Compresses every file and returns the results, base64, in the order sent.

    Orientation is applied, colours end as sRGB, metadata is removed; nothing is enlarged and
    nothing comes back larger than it was. One unreadable file refuses the whole batch, free of
    charge, unless `partial` is true. Unknown text fields are ignored; `warnings` names them.
    """
    form, who = form_models.read(FILES, CompressForm), principal()
    _check_count(len(form.files), who)
    with processing(container().image_work) as context:
        done = compress(
            who,
            [SourceFile(file.name, file.path, file.size) for file in form.files],
            form.fields.transform,
            context,
            partial=form.fields.partial,
            reference=g.claim.id if g.claim else None,
        )
    abuse_counts.count_files(failure.error for failure in done.failures)
    return _answer(done, form.warnings)


def _check_count(files: int, who: Principal) -> None:
    if files > who.allowance.batch_files:
        raise TooLarge(
            f"{files} files are too many: the {who.allowance.plan} plan takes "
            f"{who.allowance.batch_files} a batch."
        )


def _answer(done: Batch, warnings: list[str]) -> Response:
    """Build the JSON of a batch. The images stay in their files until they are sent."""
    parts: list[bytes | Base64File] = [b'{"processed":%d,"results":[' % len(done.results)]
    for number, result in enumerate(done.results):
        parts += [b"," if number else b"", *_result_parts(result)]
    tail: dict[str, Any] = {"usage": UsageNow.of(done.usage).model_dump()}
    if done.failures:
        tail["failures"] = [_failed(failure) for failure in done.failures]
    if warnings:
        tail["warnings"] = warnings
    parts.append(b"]," + json.dumps(tail).encode()[1:] + b"\n")
    response = stream(parts)
    if done.charged:
        response.headers["X-Image-Processing-Usage"] = str(done.charged)
    return response


def _result_parts(result: Result) -> tuple[bytes, Base64File, bytes]:
    picture = result.picture
    facts = {
        "originalName": result.upload.name,
        "mimeType": picture.format.mime,
        "originalSize": result.upload.size,
        "size": picture.size,
        "width": picture.width,
        "height": picture.height,
        **({"keptOriginal": True} if picture.kept_original else {}),
    }
    return (
        json.dumps(facts).encode()[:-1] + b',"data":"',
        Base64File(result.path, picture.size),
        b'"}',
    )


def _failed(failure: Failure) -> dict[str, str]:
    return Failed(originalName=failure.upload.name, error=failure.error.message).model_dump()
