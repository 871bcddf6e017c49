"""The signed URLs of local storage. Where objects lie in S3, S3 answers its own, with the same promises."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import FileWrapper, wrap_file

from app.adapters.local_storage import LocalStorage
from app.adapters.local_urls import Download, Upload
from app.adapters.storage import content_disposition
from app.errors import AppError, BadRequest, Forbidden, NotFound
from app.web.authentication import needs_nothing
from app.web.context import now, toolbox

blueprint = Blueprint("delivery", __name__)

CHUNK_BYTES = 64 * 1024


class RangeNotSatisfiable(AppError):
    status = 416
    code = "range_not_satisfiable"
    title = "The file has no such range of bytes"
    advice = "Ask for one range within the file, whose length `Content-Range` names, or leave the Range header out."


@blueprint.put("/storage/<token>")
@needs_nothing
def upload(token: str) -> Response:
    """Store the body as the object that the URL was made for. Nothing is visible before the last byte is there."""
    storage = _local_storage()
    promise = storage.read_upload_token(token, now())
    _check_headers(promise)
    request.max_content_length = promise.size
    storage.put(promise.key, _body(promise.size), promise.content_type)
    with storage.open(promise.key) as file:
        response = Response(mimetype="text/plain")
        response.set_etag(_entity_tag(file))
    return response


@blueprint.get("/storage/<token>")
@needs_nothing
def download(token: str) -> Response:
    """The object, or a range of it, with the type and the name that the URL was made for."""
    storage = _local_storage()
    promise = storage.read_download_token(token, now())
    try:
        file = storage.open(promise.key)
    except FileNotFoundError:
        raise NotFound("The file that this URL led to was deleted.") from None
    response = _file_response(file)
    response.headers["Content-Type"] = promise.content_type
    response.headers["Content-Disposition"] = content_disposition(promise.filename, inline=promise.inline)
    response.headers["Cache-Control"] = f"private, max-age={_seconds_left(promise)}"
    return response


def _local_storage() -> LocalStorage:
    storage = toolbox().storage
    if not isinstance(storage, LocalStorage):
        raise NotFound("This server keeps its files elsewhere. Ask for a new URL.")
    return storage


def _check_headers(promise: Upload) -> None:
    """Refuse, before a byte of the body is read, what the URL was not made for."""
    if request.headers.get("Content-Type", "").lower() != promise.content_type.lower():
        raise Forbidden(f"Send 'Content-Type: {promise.content_type}': the URL was made for it.")
    if request.content_length is None:
        raise BadRequest(f"Send 'Content-Length: {promise.size}', and the body not in chunks.")
    if request.content_length != promise.size:
        raise Forbidden(
            f"The body has {request.content_length} bytes, but the URL was made for {promise.size}. Send exactly "
            "those, or ask for a new URL."
        )


def _body(size: int) -> Iterator[bytes]:
    """The body as it arrives. Raises BadRequest when it ends before ``size`` bytes: not every server notices."""
    remaining = size
    while remaining:
        chunk = request.stream.read(min(CHUNK_BYTES, remaining))
        if not chunk:
            raise BadRequest(f"The body ended {remaining} bytes early. Send it again.")
        remaining -= len(chunk)
        yield chunk


def _file_response(file: BinaryIO) -> Response:
    """The open file, as far as the request's conditions and Range ask for it (RFC 9110 §13 and §14)."""
    if "Range" in request.headers:
        # gunicorn's wrapper, made for sendfile, cannot seek: it would read all that lies before the range.
        chunks: Iterable[bytes] = FileWrapper(file, CHUNK_BYTES)
    else:
        chunks = wrap_file(request.environ, file, CHUNK_BYTES)
    found = os.fstat(file.fileno())
    size = found.st_size
    response = Response(chunks, direct_passthrough=True)
    response.content_length = size
    response.last_modified = datetime.fromtimestamp(found.st_mtime, UTC)
    response.set_etag(_entity_tag(file))
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        file.close()
        raise RangeNotSatisfiable(
            f"The file has {size} bytes, and no such range.", headers={"Content-Range": f"bytes */{size}"}
        ) from None
    return response


def _entity_tag(file: BinaryIO) -> str:
    """Every put makes a new file; two within one tick of the file system's clock differ in their inode."""
    found = os.fstat(file.fileno())
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _seconds_left(promise: Download) -> int:
    return promise.expires - int(now().timestamp())
