"""``Idempotency-Key``: the same POST again gets the same answer again (after
draft-ietf-httpapi-idempotency-key)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

from flask import Flask, Response, current_app, g, request

from app.errors import BadRequest
from app.extensions import transaction
from app.services import idempotency
from app.services.heartbeat import Heartbeat
from app.services.idempotency import KeptAnswer, RequestClaim
from app.tenancy import unscoped
from app.web.context import container, now, principal, workspace_transaction
from app.web.media import FORM
from app.web.request import api_request

View = TypeVar("View", bound=Callable[..., Any])
MAX_KEY_LENGTH = 255
CHUNK_BYTES = 256 * 1024
KEPT_STATUSES = frozenset({200, 201, 202, 204, 400, 404, 413, 415, 422})
"""Statuses that a repeated request would get again. Others (quota, rate, overload, defects) may
change on a retry."""
KEPT_HEADERS = (
    "Content-Type",
    "Content-Length",
    "Content-Disposition",
    "Location",
    "X-Image-Processing-Usage",
    "X-Image-Width",
    "X-Image-Height",
    "X-Kept-Original",
    "X-Original-Ticket",
)
HEARTBEAT = "lightwell.claims"


def init_app(app: Flask) -> None:
    """One thread renews the claims of all requests of the process."""
    app.extensions[HEARTBEAT] = Heartbeat(
        "claims", idempotency.HEARTBEAT_SECONDS, partial(_renew, app)
    )
    app.before_request(begin)
    app.after_request(finish)
    app.teardown_request(_stop_renewal)


def never_stored(view: View) -> View:
    """Exempt a view whose answer contains a secret, which must not be stored."""
    view.answer_is_secret = True  # type: ignore[attr-defined]  # read by begin()
    return view


def begin() -> Response | None:
    """Replay the kept answer, or claim the request. Raises BadRequest, IdempotencyConflict,
    IdempotencyMismatch."""
    g.claim = None
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST" or g.principal is None:
        return None
    if getattr(current_app.view_functions[request.endpoint or ""], "answer_is_secret", False):
        return None
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters.")
    asked = fingerprint()
    while isinstance(found := _find_or_claim(key, asked), KeptAnswer):
        with suppress(FileNotFoundError):
            return _replay(found)
        # The kept body is lost, so the request is processed again.
        with workspace_transaction() as session:
            idempotency.forget_body(session, found)
    g.claim = found
    _heartbeat().add(found)
    return None


def _find_or_claim(key: str, asked: str) -> RequestClaim | KeptAnswer:
    with workspace_transaction() as session:
        return idempotency.claim(
            session, principal(), request.method, request.path, key, asked, now()
        )


def fingerprint() -> str:
    """Return the SHA-256 of the request, independent of multipart boundaries: query, fields, names
    and bytes of files."""
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8) + data)

    add(request.query_string)
    if request.mimetype != FORM:
        add(request.get_data())
        return digest.hexdigest()
    for name, value in request.form.items(multi=True):
        add(name or "", value)
    for field, upload in api_request().spooled_files():
        with upload.path.open("rb") as stream:
            add(field, upload.name, hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def finish(response: Response) -> Response:
    """Keep the answer of a claimed request, body first, or release the claim.

    Of a large answer only the status is kept, and a repetition computes it again. An answer of
    unknown length is not kept at all.
    """
    claim: RequestClaim | None = g.get("claim")
    if claim is None:
        return response
    _heartbeat().discard(claim)
    size, status = response.content_length, response.status_code
    if status not in KEPT_STATUSES or size is None or claim.answered not in (None, status):
        with workspace_transaction() as session:
            idempotency.forget(session, claim, now())
    elif size > idempotency.MAX_KEPT_BYTES or not _keep(response, claim, size):
        with workspace_transaction() as session:
            idempotency.end(session, claim, status, now())
    if claim.answered is not None and status in KEPT_STATUSES:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _keep(response: Response, claim: RequestClaim, size: int) -> bool:
    body_key, storage = idempotency.body_key(principal(), claim), container().storage
    body = response.get_data()
    storage.put(body_key, [body])
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    answer = KeptAnswer(response.status_code, headers, body_key, size)
    with workspace_transaction() as session:
        return idempotency.keep(session, principal(), claim, answer, now())


def _stop_renewal(_error: BaseException | None) -> None:
    """Stop renewing the request's claim, however the request ended."""
    if claim := g.pop("claim", None):
        _heartbeat().discard(claim)


def _heartbeat() -> Heartbeat[RequestClaim]:
    return cast("Heartbeat[RequestClaim]", current_app.extensions[HEARTBEAT])


def _renew(app: Flask, claims: frozenset[RequestClaim]) -> None:
    with app.app_context(), transaction() as session, unscoped(session, "renew claims"):
        idempotency.renew(session, claims, app.extensions["lightwell"].clock())


def _replay(answer: KeptAnswer) -> Response:
    body = container().storage.open(answer.body_key)
    response = Response(_chunks(body), status=answer.status, headers=answer.headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
