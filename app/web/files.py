"""Sends stored objects: whole, in part, or as 304 if they did not change (RFC 9110 §13 and §14)."""

from datetime import datetime

from flask import Response, request
from werkzeug.wsgi import wrap_file

from app.adapters.storage.interface import Storage, content_disposition
from app.errors import AppError, NotFound
from app.services.filenames import Names
from app.services.library.images import ImageFile

CHUNK_BYTES = 64 * 1024
GONE = "The file that this URL led to was deleted."


class RangeNotSatisfiable(AppError):
    status = 416
    code = "range_not_satisfiable"
    title = "The file has no such range of bytes"
    advice = (
        "Ask for one range within the file, whose length `Content-Range` names, or leave the "
        "Range header out."
    )


class PreconditionFailed(AppError):
    status = 412
    code = "precondition_failed"
    title = "The file is not the one that the condition names"
    advice = "Ask for it without `If-Match`; the answer's `ETag` is the one that it has now."


def send(
    storage: Storage,
    key: str,
    *,
    size: int,
    etag: str,
    modified: datetime,
    content_type: str,
    disposition: str,
) -> Response:
    """Send the object in chunks, as the request's conditions and Range ask for it.

    ``size`` (bytes), ``etag`` (strong, without quotes) and ``modified`` describe the object, so
    that storage is opened only if bytes are to be sent, and before the answer begins. Raises
    NotFound if the object is missing, RangeNotSatisfiable, PreconditionFailed.
    """
    response = Response(content_type=content_type)
    response.headers["Content-Disposition"] = disposition
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length, response.last_modified = size, modified
    response.set_etag(etag)
    response.make_conditional(request.environ)
    if response.status_code == 412:
        raise PreconditionFailed(f'The file\'s ETag is "{etag}", which `If-Match` does not name.')
    if response.status_code == 304 or request.method == "HEAD":
        return response
    start, end = _part(response, size)
    try:
        file = storage.open(key, start, end)
    except FileNotFoundError:
        raise NotFound(GONE) from None
    response.response = wrap_file(request.environ, file, CHUNK_BYTES)
    response.direct_passthrough = True
    return response


def send_image(storage: Storage, image: ImageFile, *, inline: bool) -> Response:
    """Like ``send``, for an image under its own name. Its content never changes."""
    return send(
        storage,
        image.storage_key,
        size=image.size,
        etag=image.content,
        modified=image.uploaded_at,
        content_type=image.mime_type,
        disposition=content_disposition(Names().unique(image.name, image.extension), inline=inline),
    )


def _part(response: Response, size: int) -> tuple[int, int | None]:
    """Return the start and end of the bytes to read. Makes the answer a 206 if one range is
    requested. Raises RangeNotSatisfiable.

    Ignores, as the RFC allows: several ranges, other units, unreadable ranges, and a range of a
    file that has changed since.
    """
    asked = request.range
    if asked is None or len(asked.ranges) != 1 or asked.units != "bytes":
        return 0, None
    # The RFC requires an exact match with the validators that we sent.
    if request.headers.get("If-Range") not in (
        None,
        response.headers["ETag"],
        response.headers["Last-Modified"],
    ):
        return 0, None
    part = asked.range_for_length(size)
    if part is None:
        raise RangeNotSatisfiable(
            f"The file has {size} bytes, and no such range.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    response.status_code = 206
    response.content_length = part[1] - part[0]
    response.content_range = asked.make_content_range(size)
    return part
