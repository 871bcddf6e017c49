"""``/v1/images``: images taken in, made of others, published. The same rows as the workspace's
assets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from flask import Response, jsonify, url_for
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.adapters.painter import ImagePrompt
from app.errors import BadRequest
from app.imaging import ImagingError
from app.models import Asset
from app.services.library import create_image, images, publishing, trash
from app.services.library.images import ImageFile
from app.web import form_models
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.files import send_image
from app.web.image_making import image_request
from app.web.links import absolute, own_path
from app.web.requirements import Key, requires
from app.web.schema import (
    SECURITY,
    Body,
    ById,
    Moment,
    Name,
    Printable,
    Prose,
    Query,
    answer,
    at_most,
    errors,
)

blueprint = APIBlueprint(
    "images",
    __name__,
    url_prefix="/v1/images",
    abp_tags=[
        Tag(
            name="Images",
            description="Images of files, URLs and prompts, and what is made of them: each "
            "operation answers with a new image. With a test key nothing is charged, what is made "
            "has a watermark, and is deleted after 90 days.",
        )
    ],
)

IMAGE_ID = r"^image_[0-9a-z]{24}$"


class Image(BaseModel):
    id: str = Field(examples=["image_0mpn9k2ucq3vd1x7b8e5h4zt"])
    name: str = Field(
        description="Not unique: what is made of an image has its name.", examples=["hero"]
    )
    url: str | None = Field(description="Where everybody may get it; null until it is published.")
    width: int = Field(description="Pixels, of the upright image.")
    height: int
    format: str = Field(examples=["jpeg", "png", "webp"])
    size: int = Field(description="Bytes.")
    created_at: Moment

    @classmethod
    def of(cls, asset: Asset) -> Self:
        path = publishing.path_of(asset)
        return cls(
            id=asset.id,
            name=asset.name,
            url=path and absolute(path),
            width=asset.width,
            height=asset.height,
            format=asset.kind,
            size=asset.size,
            created_at=asset.uploaded_at,
        )


class Links(BaseModel):
    previous: str | None
    next: str | None


class ImageList(BaseModel):
    data: list[Image]
    links: Links


class ImageQuery(Query):
    take: Annotated[int, Field(ge=1), at_most(100)] = Field(10, description="More than 100 is 100.")
    from_: Annotated[str, Field(pattern=IMAGE_ID)] | None = Field(
        None, alias="from", description="The id of the first image of the page."
    )


class ImageOfUrl(Body):
    url: Annotated[str, Field(min_length=1, max_length=2048), Printable] = Field(
        description="`https://…` at Amazon S3, Azure Blob Storage, Cloudflare R2, Google Cloud "
        "Storage, Dropbox, Google Drive or OneDrive, share links too, at a host that the "
        "organization has added, or where this server publishes an image.",
        examples=["https://storage.googleapis.com/my-bucket/photo.jpg"],
    )
    name: Name = Field(examples=["hero"])


class ImageOfWords(Body):
    prompt: Annotated[str, Field(min_length=1, max_length=1000), Prose] = Field(
        examples=["A lighthouse above a calm sea"]
    )
    name: Name = Field(examples=["lighthouse"])
    negative_prompt: Annotated[str, Field(max_length=1000), Prose] | None = Field(
        None, description="What not to paint.", examples=["people"]
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None,
        description="The same seed and words make the same picture, where the model can do that.",
    )
    model: Annotated[str, Field(min_length=1, max_length=100), Printable] | None = None


class Uploaded(Image):
    warnings: list[str] | None = Field(
        None, description="What of the form was ignored: `field: problem`."
    )


class UploadForm(BaseModel):
    """The field beside the file."""

    name: Name = Field(examples=["hero"])


CREATED: dict[int | str, Any] = {201: Image, **errors(400, 401, 402, 403, 404, 409, 413, 415, 422)}
UPLOAD = form_models.body(
    "image",
    {"type": "string", "format": "binary", "description": "Told by its content."},
    UploadForm,
)


@blueprint.get(
    "",
    summary="List images",
    security=SECURITY,
    responses={200: ImageList, **errors(400, 401, 403)},
)
@requires(Key("read"))
def index(query: ImageQuery) -> Response:
    """Newest first. `links` lead to the pages before and after."""
    with workspace_transaction() as session:
        page = images.page_of(session, query.take, query.from_)
        links = Links(
            previous=_page_url(query.take, page.previous), next=_page_url(query.take, page.next)
        )
        return answer(ImageList(data=[Image.of(image) for image in page.images], links=links))


@blueprint.post("", summary="Create an image from a URL", security=SECURITY, responses=CREATED)
@requires(Key("write"))
def create_from_url(body: ImageOfUrl) -> tuple[Response, int]:
    """Fetches the image, within 20 seconds and the plan's size of a file, and keeps it as it is."""
    if published := publishing.find_at_path(own_path(body.url) or ""):
        with processing(container().image_work) as context, _naming("url"):
            return created(
                create_image.from_published(image_request(body.name), published, context)
            )
    with processing(container().outbound_calls) as context, _naming("url"):
        return created(
            create_image.from_url(image_request(body.name), body.url, container().fetcher, context)
        )


@blueprint.post(
    "/upload",
    summary="Upload an image",
    security=SECURITY,
    request_body=UPLOAD,
    responses={**CREATED, 201: Uploaded},
)
@requires(Key("write"))
def upload() -> tuple[Response, int]:
    """Keeps the image as it is, whatever its format: JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or
    camera RAW.

    Unknown text fields are ignored; `warnings`, which is there only then, names them.
    """
    form = form_models.read("image", UploadForm)
    if len(form.files) != 1:
        raise BadRequest("Send one image.", errors=["image: must be one file"])
    file = form.files[0]
    with processing(container().image_work) as context, _naming("image"):
        image = create_image.from_upload(
            image_request(form.fields.name), file.path, file.name, context
        )
    return created(image, warnings=form.warnings)


@blueprint.post(
    "/imagine",
    summary="Create an image from a prompt",
    security=SECURITY,
    responses={**CREATED, **errors(501)},
)
@requires(Key("write"))
def imagine(body: ImageOfWords) -> tuple[Response, int]:
    """Has the server's provider paint it. With a test key no provider is asked: a sample is drawn,
    from the seed."""
    wanted = ImagePrompt(body.prompt, body.negative_prompt, body.seed, body.model)
    with processing(container().outbound_calls) as context:
        return created(
            create_image.from_prompt(image_request(body.name), wanted, container().painter, context)
        )


@blueprint.get(
    "/<id>",
    summary="Get an image",
    security=SECURITY,
    responses={200: Image, **errors(401, 403, 404)},
)
@requires(Key("read"))
def show(path: ById) -> Response:
    """One image, as the list shows it."""
    with workspace_transaction() as session:
        return answer(Image.of(images.get(session, path.id)))


@blueprint.delete(
    "/<id>",
    summary="Delete an image",
    security=SECURITY,
    responses={204: None, **errors(401, 403, 404)},
)
@requires(Key("write"))
def delete(path: ById) -> tuple[str, int]:
    """Gone at once, its public URL too. What was made of it stays. It is in the dashboard's trash
    for 30 days, where it can be restored, and counts as storage until then."""
    with workspace_transaction() as session:
        image = images.get(session, path.id)
        trash.put_one(session, principal().actor, image.id, now())
    return "", 204


@blueprint.get(
    "/<id>/download",
    summary="Download an image",
    security=SECURITY,
    responses={
        200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
        **errors(401, 403, 404, 412, 416),
    },
)
@requires(Key("read"))
def download(path: ById) -> Response:
    """The image's bytes. Takes `Range` and `If-None-Match`."""
    with workspace_transaction() as session:
        image = ImageFile.of(images.get(session, path.id))
    return send_image(container().storage, image, inline=False)


@blueprint.post(
    "/<id>/publish",
    summary="Publish an image",
    security=SECURITY,
    responses={200: Image, **errors(401, 403, 404, 409)},
)
@requires(Key("write"))
def publish(path: ById) -> Response:
    """Gives it a `url` that needs no key and can't be guessed. Published again, it keeps that
    URL."""
    with workspace_transaction() as session:
        image = images.get(session, path.id)
        publishing.publish(session, image)
        return answer(Image.of(image))


@blueprint.post(
    "/<id>/unpublish",
    summary="Unpublish an image",
    security=SECURITY,
    responses={200: Image, **errors(401, 403, 404, 409)},
)
@requires(Key("write"))
def unpublish(path: ById) -> Response:
    """Its `url` is over at once here, and within a minute in caches. Published again, it gets
    another."""
    with workspace_transaction() as session:
        image = images.get(session, path.id)
        publishing.unpublish(session, image)
        return answer(Image.of(image))


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Add the field's name to errors about its file that are raised in the block."""
    try:
        yield
    except ImagingError as error:
        error.errors = error.errors or [f"{field}: {error.message}"]
        raise


def created(image: Asset, counted: int = 1, warnings: Sequence[str] = ()) -> tuple[Response, int]:
    """Return the answer of all views that create an image."""
    content = Image.of(image).model_dump(mode="json")
    response = jsonify({**content, **({"warnings": warnings} if warnings else {})})
    if principal().is_live:
        response.headers["X-Image-Processing-Usage"] = str(counted)
    return response, 201


def _page_url(take: int, first: str | None) -> str | None:
    return first and absolute(
        url_for("images.index") + "?" + urlencode({"take": take, "from": first})
    )
