"""``POST /compress/batch``: many images in, smaller ones out, in one streamed JSON answer."""

import json
from typing import Annotated, Any, Self

from flask import Response, g, request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.api.schema import SECURITY, errors
from app.api.usage import UsageNow
from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.imaging import Format, Transform
from app.services.compress import Batch, Failure, Result, Upload, compress
from app.services.principal import Principal
from app.web.answers import Base64File, stream
from app.web.authentication import needs_key
from app.web.context import at_work, principal, toolbox
from app.web.errors import invalid_request
from app.web.request import api_request

blueprint = APIBlueprint(
    "compress", __name__, url_prefix="/compress", abp_tags=[Tag(name="Compress", description="Make images smaller.")]
)

FILE_FIELDS = frozenset({"files[]", "files"})
Side = Annotated[int | None, Field(ge=1, le=100_000, json_schema_extra={"example": 1280})]


def _format(value: object) -> object:
    try:
        return Format.from_mime(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"must be one of {', '.join(format.mime for format in Format)}") from None


class CompressForm(BaseModel):
    """The fields of the form. The files themselves are spooled to disk as they arrive."""

    model_config = ConfigDict(extra="forbid")

    quality: float = Field(0.8, ge=0, le=1, allow_inf_nan=False, description="0 is smallest, 1 is best.")
    maxWidth: Side = Field(None, description="Shrink images wider than this, in pixels.")
    maxHeight: Side = Field(None, description="Shrink images taller than this, in pixels.")
    mimeType: Annotated[Format | None, BeforeValidator(_format)] = Field(
        None,
        description="Force an output format. By default JPEG, PNG, WebP, GIF and AVIF stay what they are, and the rest "
        "becomes JPEG, or PNG where it is transparent.",
        json_schema_extra={"anyOf": [{"type": "string", "enum": [format.mime for format in Format]}]},
    )
    partial: bool = Field(False, description="Return the good results even where some files fail.")

    @classmethod
    def of_request(cls) -> Self:
        """The form as sent; a field left empty counts as not given. Raises BadRequest."""
        if texts := FILE_FIELDS & set(request.form):
            raise BadRequest("Send the images as files.", errors=[f"{name}: must be a file" for name in sorted(texts)])
        fields = {name: value for name, value in request.form.items() if value != ""}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise invalid_request(error) from None

    @property
    def transform(self) -> Transform:
        return Transform(
            format=self.mimeType,
            quality=max(1, round(self.quality * 100)),
            max_width=self.maxWidth,
            max_height=self.maxHeight,
        )


class Compressed(BaseModel):
    originalName: str = Field(examples=["photo1.jpg"])
    mimeType: str = Field(examples=["image/jpeg"])
    data: str = Field(description="The image, base64.", json_schema_extra={"contentEncoding": "base64"})
    originalSize: int = Field(description="Bytes sent.")
    size: int = Field(description="Bytes returned.")
    width: int
    height: int
    keptOriginal: bool | None = Field(
        None, description="True where nothing smaller was possible: the original's pixels, without its metadata."
    )


class Failed(BaseModel):
    originalName: str
    error: str


class CompressedBatch(BaseModel):
    processed: int
    results: list[Compressed] = Field(description="In the order sent.")
    failures: list[Failed] | None = Field(None, description="With `partial`: the files that could not be read.")
    usage: UsageNow


REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files[]"],
                "properties": {
                    "files[]": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "The images; repeat the field. JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or "
                        "camera RAW, told by their content. `files` works too.",
                    },
                    **CompressForm.model_json_schema()["properties"],
                },
            }
        }
    },
}


@blueprint.post(
    "/batch",
    summary="Compress a batch of images",
    security=SECURITY,
    request_body=REQUEST_BODY,
    responses={200: CompressedBatch, **errors(400, 401, 403, 409, 413, 415, 422)},
)
@needs_key
def batch() -> Response:
    """Compresses every file and returns the results, base64, in the order sent.

    Orientation is applied, colours end as sRGB, metadata is removed; nothing is enlarged and nothing comes back larger
    than it was. One unreadable file refuses the whole batch, free of charge, unless `partial` is true.
    """
    form, uploads = _received(principal())
    with at_work(toolbox().gate) as shop:
        done = compress(
            principal(),
            uploads,
            form.transform,
            shop,
            partial=form.partial,
            reference=g.claim.id if g.claim else None,
        )
    return _answer(done)


def _received(who: Principal) -> tuple[CompressForm, list[Upload]]:
    """The form and its files, in the order sent. Raises UnsupportedMediaType, BadRequest, TooLarge."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the images as 'multipart/form-data', in fields named 'files[]'.")
    files = api_request().spooled_files()
    form = CompressForm.of_request()
    if unknown := {field for field, _ in files} - FILE_FIELDS:
        raise BadRequest("The form has unknown file fields.", errors=[f"{name}: unknown field" for name in unknown])
    if not files:
        raise BadRequest("Send at least one image.", errors=["files[]: is required"])
    if len(files) > who.allowance.batch_files:
        raise TooLarge(
            f"{len(files)} files are too many: the {who.allowance.plan} plan takes {who.allowance.batch_files} a batch."
        )
    return form, [Upload(file.name, file.path, file.size) for _, file in files]


def _answer(done: Batch) -> Response:
    """The JSON of a batch, with the images left in their files until they are sent."""
    parts: list[bytes | Base64File] = [b'{"processed":%d,"results":[' % len(done.results)]
    for number, result in enumerate(done.results):
        parts += [b"," if number else b"", *_result_parts(result)]
    tail: dict[str, Any] = {"usage": UsageNow.of(done.usage).model_dump()}
    if done.failures:
        tail["failures"] = [_failed(failure) for failure in done.failures]
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
    return json.dumps(facts).encode()[:-1] + b',"data":"', Base64File(result.path, picture.size), b'"}'


def _failed(failure: Failure) -> dict[str, str]:
    return Failed(originalName=failure.upload.name, error=failure.error.message).model_dump()
