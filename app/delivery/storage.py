"""Serves the signed URLs of local storage. With S3 storage, S3 serves its own URLs with the same
guarantees."""

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from app.adapters.storage.interface import content_disposition
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.local_parts import entity_tag
from app.adapters.storage.local_urls import DownloadGrant, PartGrant, UploadGrant
from app.errors import BadRequest, Forbidden, NotFound
from app.web.admission import before_body
from app.web.context import container, now
from app.web.files import GONE, send
from app.web.requirements import Nothing, requires

blueprint = Blueprint("delivery", __name__)

CHUNK_BYTES = 64 * 1024


def _read_grant(token: str) -> UploadGrant:
    """Return the upload that the URL was made for. Raises NotFound, and Forbidden or BadRequest if
    the request's headers do not match it."""
    grant = _local_storage().read_upload_token(token, now())
    _check_headers(grant)
    request.max_content_length = grant.size
    return grant


@blueprint.put("/storage/<token>")
@before_body(_read_grant)
@requires(Nothing())
def upload(token: str) -> Response:
    """Store the body as the object that the URL was made for. Nothing is visible before the last
    byte is there."""
    storage, grant = _local_storage(), _read_grant(token)
    storage.put(grant.key, _body(grant.size), grant.content_type)
    response = Response(mimetype="text/plain")
    response.set_etag(entity_tag(storage.stat(grant.key)))
    return response


def _read_part_grant(token: str) -> PartGrant:
    """Return the part that the URL was made for. Raises as ``_read_grant`` does."""
    grant = _local_storage().read_part_token(token, now())
    _check_length(grant.size)
    request.max_content_length = grant.size
    return grant


@blueprint.put("/storage/parts/<token>")
@before_body(_read_part_grant)
@requires(Nothing())
def upload_part(token: str) -> Response:
    """Store the body as a part of an upload. It counts once its last byte is there."""
    storage, grant = _local_storage(), _read_part_grant(token)
    try:
        part = storage.put_part(grant.key, grant.parts_id, grant.number, _body(grant.size))
    except FileNotFoundError:
        raise NotFound("This upload has ended. Begin again.") from None
    response = Response(mimetype="text/plain")
    response.set_etag(part.etag)
    return response


@blueprint.get("/storage/<token>")
@requires(Nothing())
def download(token: str) -> Response:
    """The object, or a range of it, with the type and the name that the URL was made for."""
    storage = _local_storage()
    grant = storage.read_download_token(token, now())
    try:
        found = storage.stat(grant.key)
    except FileNotFoundError:
        raise NotFound(GONE) from None
    response = send(
        storage,
        grant.key,
        size=found.st_size,
        etag=entity_tag(found),
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        content_type=grant.content_type,
        disposition=content_disposition(grant.filename, inline=grant.inline),
    )
    response.headers["Cache-Control"] = f"private, max-age={_seconds_left(grant)}"
    return response


def _local_storage() -> LocalStorage:
    storage = container().storage
    if not isinstance(storage, LocalStorage):
        raise NotFound("This server keeps its files elsewhere. Ask for a new URL.")
    return storage


def _check_headers(grant: UploadGrant) -> None:
    """Refuse a body that the URL was not made for, before reading it."""
    if request.headers.get("Content-Type", "").lower() != grant.content_type.lower():
        raise Forbidden(f"Send 'Content-Type: {grant.content_type}': the URL was made for it.")
    _check_length(grant.size)


def _check_length(size: int) -> None:
    if request.content_length is None:
        raise BadRequest(f"Send 'Content-Length: {size}', and the body not in chunks.")
    if request.content_length != size:
        raise Forbidden(
            f"The body has {request.content_length} bytes, but the URL was made for "
            f"{size}. Send exactly those, or ask for a new URL."
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


def _seconds_left(grant: DownloadGrant) -> int:
    return grant.expires - int(now().timestamp())
