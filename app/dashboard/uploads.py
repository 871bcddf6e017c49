"""``/dashboard/<slug>/library/uploads``: files go from the browser straight to storage.

Scripts of the library's page send JSON here. Each step may be repeated, because a connection may
be lost after any of them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from flask import Blueprint, Response, request
from pydantic import AfterValidator, BaseModel, Field

from app.errors import AppError, NotFound
from app.imaging import media
from app.models import Asset
from app.services.accounts.permissions import Action
from app.services.accounts.principal import MEGABYTE
from app.services.filenames import clean_name
from app.services.library import part_uploads, uploads
from app.services.library.assets import Label
from app.services.library.uploads import DeclaredFile
from app.web.context import container, now, principal, processing, workspace_transaction
from app.web.errors import validated
from app.web.links import absolute, thumbnail
from app.web.requirements import Member, requires
from app.web.schema import Body, Id, Moment, Name, Printable, answer

blueprint = Blueprint("uploads", __name__, url_prefix="/dashboard/<slug>/library/uploads")

WRITE = Member(action=Action.CHANGE_IMAGES, workspace=True)
AT_ONCE = 20
"""Files, or parts of one, that one request may begin."""
MAX_FILE_BYTES = 2**40
Model = TypeVar("Model", bound=BaseModel)


class File(Body):
    """A file as the browser knows it. The type is told from its name."""

    originalName: Annotated[Name, AfterValidator(clean_name)]
    mimeType: Annotated[str, Field(min_length=1, max_length=64), Printable]
    size: int = Field(ge=1, le=MAX_FILE_BYTES)

    @property
    def declared(self) -> DeclaredFile:
        return DeclaredFile(self.originalName, self.mimeType.lower(), self.size, is_guess=True)


class Files(Body):
    files: list[File] = Field(min_length=1, max_length=AT_ONCE)


class Key(Body):
    storageKey: Annotated[str, Field(max_length=512), Printable]

    @property
    def own(self) -> str:
        """The key. Raises NotFound for one that is not this organization's."""
        if self.storageKey.startswith(f"orgs/{principal().org_id}/"):
            return self.storageKey
        raise NotFound("There is no such upload, or it has expired. Begin the upload again.")


class Parts(Key):
    numbers: list[int] = Field(min_length=1, max_length=AT_ONCE)


class Arrived(Key, File):
    collectionId: Id | None = None

    @property
    def label(self) -> Label:
        return Label(self.originalName, collection_id=self.collectionId)


class Slot(BaseModel):
    """One PUT of the whole file."""

    storageKey: str
    expiresAt: Moment
    url: str
    headers: dict[str, str]


class PartsSlot(BaseModel):
    """Parts of ``partSize`` bytes, the last of what is left."""

    storageKey: str
    expiresAt: Moment
    partSize: int
    count: int


class Refusal(BaseModel):
    error: str
    code: str
    status: int


class Begun(BaseModel):
    """In the order of the files."""

    uploads: list[Slot | PartsSlot | Refusal]


class Part(BaseModel):
    number: int
    url: str


class SignedParts(BaseModel):
    parts: list[Part]


class ArrivedParts(BaseModel):
    numbers: list[int]


class Older(BaseModel):
    id: str
    name: str


class Added(BaseModel):
    id: str
    name: str
    thumbnailUrl: str
    duplicateOf: Older | None

    @classmethod
    def of(cls, asset: Asset, older: Asset | None) -> "Added":
        return cls(
            id=asset.id,
            name=asset.name,
            thumbnailUrl=thumbnail(asset.thumbnail_key),
            duplicateOf=Older(id=older.id, name=older.name) if older else None,
        )


@blueprint.app_template_global()
def upload_rules() -> Mapping[str, Any]:
    """What the page tells before it sends a file: how large it may be, and the media type by the
    file name's extension."""
    allowance = principal().allowance
    return {
        "most": allowance.file_bytes,
        "refusal": f"The file is larger than {allowance.file_bytes // MEGABYTE} MB, the most that "
        f"the {allowance.plan} plan allows.",
        "types": media.BY_EXTENSION,
        "at_once": AT_ONCE,
    }


@blueprint.post("")
@requires(WRITE)
def begin(slug: str) -> Response:
    """A file that is refused does not keep the others from beginning."""
    return answer(Begun(uploads=[_begun(file.declared) for file in _body(Files).files]))


@blueprint.post("/parts")
@requires(WRITE)
def sign_parts(slug: str) -> Response:
    body = _body(Parts)
    signed = part_uploads.sign(principal(), body.own, body.numbers, container().storage, now())
    parts = [Part(number=part.number, url=absolute(part.upload.url)) for part in signed]
    return answer(SignedParts(parts=parts))


@blueprint.post("/arrived")
@requires(WRITE)
def arrived_parts(slug: str) -> Response:
    numbers = part_uploads.arrived(principal(), _body(Key).own, container().storage)
    return answer(ArrivedParts(numbers=numbers))


@blueprint.post("/complete")
@requires(WRITE)
def complete(slug: str) -> tuple[str, int]:
    part_uploads.complete(principal(), _body(Key).own, container().storage)
    return "", 204


@blueprint.post("/cancel")
@requires(WRITE)
def cancel(slug: str) -> tuple[str, int]:
    part_uploads.cancel(principal(), _body(Key).own, container().storage, now())
    return "", 204


@blueprint.post("/finalize")
@requires(WRITE)
def finalize(slug: str) -> Response:
    body = _body(Arrived)
    with processing(container().image_work) as context:
        asset, _made = uploads.finalize(principal(), body.own, body.declared, body.label, context)
    with workspace_transaction() as session:
        older = uploads.duplicate_of(session, asset)
    return answer(Added.of(asset, older))


def _begun(file: DeclaredFile) -> Slot | PartsSlot | Refusal:
    who, storage = principal(), container().storage
    try:
        if file.size > part_uploads.FROM_SIZE:
            parts = part_uploads.begin(who, file, storage, now())
            return PartsSlot(
                storageKey=parts.storage_key,
                expiresAt=parts.expires_at,
                partSize=parts.part_size,
                count=parts.count,
            )
        slot = uploads.presign(who, file, storage, now())
    except AppError as refusal:
        return Refusal(error=refusal.message, code=refusal.code, status=refusal.status)
    return Slot(
        storageKey=slot.storage_key,
        expiresAt=slot.expires_at,
        url=absolute(slot.upload.url),
        headers=slot.upload.headers,
    )


def _body(model: type[Model]) -> Model:
    """The JSON that was sent. Raises BadRequest, UnsupportedMediaType."""
    return validated(model, request.get_json())
