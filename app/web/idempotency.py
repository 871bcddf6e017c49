"""``Idempotency-Key``: the same POST again gets the same answer again (after draft-ietf-httpapi-idempotency-key)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from flask import Response, current_app, g, request

from app.errors import BadRequest
from app.extensions import transaction
from app.services import idempotency
from app.services.idempotency import Claim, KeptAnswer
from app.web.context import now, principal, toolbox
from app.web.request import api_request

View = TypeVar("View", bound=Callable[..., Any])
LONGEST_KEY = 255
CHUNK_BYTES = 256 * 1024
KEPT_STATUSES = frozenset({200, 201, 202, 204, 400, 404, 413, 415, 422})
"""Answers that a repetition would get again. The others (quota, rate, overload, defects) may turn out better."""
KEPT_HEADERS = ("Content-Type", "Content-Length", "Content-Disposition", "Location", "X-Image-Processing-Usage")


def never_kept(view: View) -> View:
    """The view answers with a secret, which must not lie in storage."""
    view.answer_is_secret = True  # type: ignore[attr-defined]  # read by begin()
    return view


def begin() -> Response | None:
    """Replay the kept answer, or claim the request. Raises BadRequest, IdempotencyConflict, IdempotencyMismatch."""
    g.claim = None
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST" or g.principal is None:
        return None
    if getattr(current_app.view_functions[request.endpoint or ""], "answer_is_secret", False):
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise BadRequest(f"Idempotency-Key must have 1 to {LONGEST_KEY} characters.")
    asked = fingerprint()
    with transaction(principal().org_id) as session:
        claim = idempotency.claim(session, principal(), request.method, request.path, key, asked, now())
    if claim.outdated:
        toolbox().storage.delete([claim.outdated])
    if claim.answer is not None:
        with suppress(FileNotFoundError):  # lost with its disk: the work is done again, which is paid already
            return _replay(claim.answer)
    g.claim = claim
    return None


def fingerprint() -> str:
    """SHA-256 of what is asked, independent of multipart boundaries: query, fields, names and bytes of files."""
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8) + data)

    add(request.query_string)
    if request.mimetype != "multipart/form-data":
        add(request.get_data())
        return digest.hexdigest()
    for name, value in request.form.items(multi=True):
        add(name or "", value)
    for field, upload in api_request().spooled_files():
        with upload.path.open("rb") as stream:
            add(field, upload.name, hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def finish(response: Response) -> Response:
    """Keep the answer of a claimed request, body first, or give the claim up.

    A stream without an end in sight is not kept: it would not be sent before it is whole, and nobody pays for it twice.
    """
    claim: Claim | None = g.get("claim")
    if claim is None:
        return response
    g.claim = None
    if response.status_code not in KEPT_STATUSES or response.content_length is None:
        with transaction(principal().org_id) as session:
            idempotency.forget(session, claim)
        return response
    body_key = f"idempotency/{claim.id}"
    toolbox().storage.put(body_key, response.iter_encoded())
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    answer = KeptAnswer(response.status_code, headers, body_key)
    with transaction(principal().org_id) as session:
        idempotency.keep(session, claim, answer)
    response.response = _chunks(toolbox().storage.open(body_key))
    return response


def _replay(answer: KeptAnswer) -> Response:
    body = toolbox().storage.open(answer.body_key)
    response = Response(_chunks(body), status=answer.status, headers=answer.headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
