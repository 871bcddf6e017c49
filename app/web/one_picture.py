"""The playground's requests: one file in, one smaller picture out, as bytes that a page shows and
that a browser without scripts saves."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flask import Response, request

from app.adapters.storage.interface import content_disposition
from app.errors import BadRequest, TooLarge
from app.imaging import Format, Transform
from app.services.accounts.principal import MEGABYTE
from app.services.compress import Result, SourceFile
from app.services.filenames import Names
from app.web import form_models
from app.web.compress_form import CompressForm
from app.web.request import api_request

FIELD = "file"
FIELDS_BYTES = 64 * 1024
"""What a form may have beside its file."""
CHUNK_BYTES = 256 * 1024
DISPLAY = Transform(format=Format.WEBP, quality=75, max_width=2000, max_height=2000)
"""How an original is shown that browsers can't show. Nobody chooses it, so that it is no second way
to convert files."""


@dataclass(frozen=True)
class Place:
    """Where files are sent and what that costs. ``left`` of ``most`` files may still be sent; None
    without a limit, or where it is not known."""

    action: str
    mode: Literal["visitor", "live", "test"]
    left: int | None
    most: int | None
    file_bytes: int

    @property
    def shows_original(self) -> str:
        """Where the display version of an original is asked for."""
        path, _, query = self.action.partition("?")
        return f"{path}/original" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Sent:
    """A file, what is to be done with it, and the SHA-256 of its bytes."""

    upload: SourceFile
    transform: Transform
    digest: str


def limit_body(file_bytes: int, whose: str) -> None:
    """Refuse larger files, by the Content-Length before the body is read. Raises TooLarge."""
    api_request().file_bytes = file_bytes
    api_request().whose_limits = whose
    request.max_content_length = file_bytes + FIELDS_BYTES
    if (request.content_length or 0) > request.max_content_length:
        raise TooLarge(f"The file is larger than {file_bytes // MEGABYTE} MB, the most {whose}.")


def read() -> Sent:
    """Raises UnsupportedMediaType, BadRequest, TooLarge."""
    form = form_models.read(FIELD, CompressForm)
    if len(form.files) > 1:
        raise BadRequest(f"Send one file at a time in the field '{FIELD}'.")
    file = form.files[0]
    with file.path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Sent(SourceFile(file.name, file.path, file.size), form.fields.transform, digest)


def answer(result: Result, left: int | None = None) -> Response:
    """The picture. It stays in its file until it is sent."""
    picture = result.picture
    response = Response(_chunks(result.path), content_type=picture.format.mime)
    response.content_length = picture.size
    name = Names().unique(result.upload.name, picture.format.extension)
    response.headers["Content-Disposition"] = content_disposition(name, inline=False)
    response.headers["X-Image-Width"] = str(picture.width)
    response.headers["X-Image-Height"] = str(picture.height)
    if picture.kept_original:
        response.headers["X-Kept-Original"] = "true"
    if left is not None:
        response.headers["X-Images-Left"] = str(left)
    return response


def _chunks(path: Path) -> Iterator[bytes]:
    path.touch()  # so that the sweep does not remove a file that is still in use
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
