"""Serves the signed URLs of local storage. With S3 storage, S3 serves its own URLs with the same
guarantees."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from app.adapters.local_storage import LocalStorage
from app.adapters.local_urls import Download, Upload
from app.adapters.storage import content_disposition
from app.errors import BadRequest, Forbidden, NotFound
from app.web.admission import before_body
from app.web.context import container, now
from app.web.files import GONE, send
from app.web.requirements import Nothing, requires

blueprint = Blueprint("delivery", __name__)

CHUNK_BYTES = 64 * 1024


def _read_promise(token: str) -> Upload:
    """Return the upload that the URL was made for. Raises NotFound, and Forbidden or BadRequest if
    the request's headers do not match it."""
    promise = _local_storage().read_upload_token(token, now())
    _check_headers(promise)
    request.max_content_length = promise.size
    return promise


@blueprint.put("/storage/<token>")
@before_body(_read_promise)
@requires(Nothing())
def upload(token: str) -> Response:
    """Store the body as the object that the URL was made for. Nothing is visible before the last
    byte is there."""
    storage, promise = _local_storage(), _read_promise(token)
    storage.put(promise.key, _body(promise.size), promise.content_type)
    response = Response(mimetype="text/plain")
    response.set_etag(_entity_tag(storage.stat(promise.key)))
    return response


@blueprint.get("/storage/<token>")
@requires(Nothing())
def download(token: str) -> Response:
    """The object, or a range of it, with the type and the name that the URL was made for."""
    storage = _local_storage()
    promise = storage.read_download_token(token, now())
    try:
        found = storage.stat(promise.key)
    except FileNotFoundError:
        raise NotFound(GONE) from None
    response = send(
        storage,
        promise.key,
        size=found.st_size,
        etag=_entity_tag(found),
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        content_type=promise.content_type,
        disposition=content_disposition(promise.filename, inline=promise.inline),
    )
    response.headers["Cache-Control"] = f"private, max-age={_seconds_left(promise)}"
    return response


def _local_storage() -> LocalStorage:
    storage = container().storage
    if not isinstance(storage, LocalStorage):
        raise NotFound("This server keeps its files elsewhere. Ask for a new URL.")
    return storage


def _check_headers(promise: Upload) -> None:
    """Refuse a body that the URL was not made for, before reading it."""
    if request.headers.get("Content-Type", "").lower() != promise.content_type.lower():
        raise Forbidden(f"Send 'Content-Type: {promise.content_type}': the URL was made for it.")
    if request.content_length is None:
        raise BadRequest(f"Send 'Content-Length: {promise.size}', and the body not in chunks.")
    if request.content_length != promise.size:
        raise Forbidden(
            f"The body has {request.content_length} bytes, but the URL was made for "
            f"{promise.size}. Send exactly those, or ask for a new URL."
        )


def _body(size: int) -> Iterator[bytes]:
    """Yield the body as it arrives. Raises BadRequest if it ends before ``size`` bytes, because not
    every WSGI server checks this."""
    remaining = size
    while remaining:
        chunk = request.stream.read(min(CHUNK_BYTES, remaining))
        if not chunk:
            raise BadRequest(f"The body ended {remaining} bytes early. Send it again.")
        remaining -= len(chunk)
        yield chunk


def _entity_tag(found: os.stat_result) -> str:
    """Every put creates a new file. Two within one tick of the file system's clock differ in their
    inode."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _seconds_left(promise: Download) -> int:
    return promise.expires - int(now().timestamp())
