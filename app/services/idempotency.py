"""Answers that are kept for a day, so that a client may safely repeat a POST.

A claim is a row. Whoever inserts it does the work; other requests get the kept answer, or an error
while the work runs. When a claim's holder dies, another request takes the claim over at the end of
its lease, as a new attempt; the earlier attempt's changes are then refused. The work itself can be
repeated too: usage is reserved under the claim's id, and the id of the result is stored with the
claim. So an answer that is not kept (too large, or removed to make room) is made again without
charge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, delete, select, tuple_, update

from app.errors import IdempotencyConflict, IdempotencyMismatch, Overloaded
from app.models import IdempotentRequest, Kept, new_id
from app.models.idempotency import HAS_BODY
from app.services import discarded_objects, kept
from app.services.accounts.principal import MEGABYTE, Principal
from app.tenancy import TenantSession, insert_if_absent, partitions_with

RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=30)
HEARTBEAT_SECONDS = 10.0
MAX_KEPT_BYTES = MEGABYTE
"""Larger answers are not kept; they are made again."""


@dataclass(frozen=True)
class KeptAnswer:
    status: int
    headers: dict[str, Any]
    body_key: str
    size: int


@dataclass(frozen=True)
class RequestClaim:
    """The right to process a request, as one of its attempts."""

    id: str
    attempt: int
    answered: int | None = None
    """The status of an earlier attempt's answer, which is not kept."""


def claim(
    session: TenantSession,
    principal: Principal,
    method: str,
    path: str,
    key: str,
    fingerprint: str,
    now: datetime,
) -> RequestClaim | KeptAnswer:
    """Claim a request, or return its kept answer. Raises IdempotencyConflict,
    IdempotencyMismatch."""
    actor = principal.actor
    identity = {
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "method": method,
        "path": path,
        "idempotency_key": key,
    }
    if claimed := _insert(session, identity, fingerprint, now):
        return claimed
    row = session.scalars(select(IdempotentRequest).filter_by(**identity)).one()
    if row.fingerprint != fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for a different request: make a new key for it."
        )
    if row.status is not None and row.body_key is not None:
        return KeptAnswer(row.status, row.headers or {}, row.body_key, row.body_size or 0)
    return _take_over(session, row, now)


def _insert(
    session: TenantSession, identity: dict[str, str], fingerprint: str, now: datetime
) -> RequestClaim | None:
    """The claim of a request that is new, or whose record has expired; None for a known one."""
    expired = select(IdempotentRequest.id).filter_by(**identity)
    if ids := session.scalars(expired.where(IdempotentRequest.expires_at <= now)).all():
        _forget(session, IdempotentRequest.id.in_(ids))
    claim_id = new_id("idem", now)
    record = {
        "fingerprint": fingerprint,
        "attempt": 1,
        "lease_until": now + LEASE,
        "created_at": now,
        "expires_at": now + RETENTION,
    }
    inserted = insert_if_absent(session, IdempotentRequest, id=claim_id, **identity, **record)
    return RequestClaim(claim_id, 1) if inserted else None


def _take_over(session: TenantSession, row: IdempotentRequest, now: datetime) -> RequestClaim:
    """The claim of a request whose earlier attempt has ended or died. Raises IdempotencyConflict
    while that attempt holds its lease."""
    mine = RequestClaim(row.id, row.attempt + 1, row.status)
    taken_over = session.change(
        _update_held(RequestClaim(row.id, row.attempt))
        .where(IdempotentRequest.lease_until <= now)
        .values(attempt=mine.attempt, lease_until=now + LEASE)
    )
    if not taken_over:
        raise IdempotencyConflict(
            "The first request with this Idempotency-Key is still running.",
            headers={"Retry-After": "2"},
        )
    return mine


def renew(session: TenantSession, claims: Iterable[RequestClaim], now: datetime) -> None:
    """Renew the claims of this process, of all organizations; ``session`` must be unscoped."""
    held = tuple_(IdempotentRequest.id, IdempotentRequest.attempt).in_(
        [(one.id, one.attempt) for one in claims]
    )
    session.change(update(IdempotentRequest).where(held).values(lease_until=now + LEASE))


def keep(
    session: TenantSession,
    principal: Principal,
    claim: RequestClaim,
    answer: KeptAnswer,
    now: datetime,
) -> bool:
    """Keep the answer of a claimed request; its body is in storage already. Returns False if it
    can't be kept; then the body is discarded."""
    limit = kept.max_bytes(principal, Kept.ANSWER)
    values = {
        "status": answer.status,
        "headers": answer.headers,
        "body_size": answer.size,
        "body_key": answer.body_key,
    }
    if kept.add(session, EVICTION, answer.size, limit):
        if session.change(_update_ended(claim, now).values(**values)):
            return True
        kept.change_total(session, Kept.ANSWER, -answer.size)
    discarded_objects.discard(session, [answer.body_key])
    return False


def end(session: TenantSession, claim: RequestClaim, status: int, now: datetime) -> None:
    """Record that a request was answered, without keeping the answer."""
    session.change(_update_ended(claim, now).values(status=status))


def forget(session: TenantSession, claim: RequestClaim, now: datetime) -> None:
    """Give a claim up, so that the request can be tried again. A request that an earlier attempt
    has answered keeps its row, so that it stays paid."""
    if claim.answered is not None:
        end(session, claim, claim.answered, now)
        return
    session.change(delete(IdempotentRequest).where(*_matches(claim)))


def forget_body(session: TenantSession, answer: KeptAnswer) -> None:
    """Forget an answer's body that is missing in storage."""
    _remove_bodies(session, IdempotentRequest.body_key == answer.body_key)


def remember(session: TenantSession, request: RequestClaim | None, result_id: str) -> None:
    """Store the id of the result with the request. Raises Overloaded if another attempt has taken
    over."""
    if request and not session.change(_update_held(request).values(result_id=result_id)):
        raise Overloaded(
            "This request was repeated, and the repetition has taken over. Nothing was charged."
        )


def result_of(session: TenantSession, request: RequestClaim | None) -> str | None:
    """The id of the result of an earlier attempt at the same request."""
    if request is None:
        return None
    return session.scalar(
        select(IdempotentRequest.result_id).where(IdempotentRequest.id == request.id)
    )


def body_key(principal: Principal, claim: RequestClaim) -> str:
    """The storage key of an attempt's answer. Each attempt has its own."""
    return f"idempotency/{principal.org_id}/{claim.id}-{claim.attempt}"


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete requests that are older than a day. Returns how many."""
    return _forget(session, IdempotentRequest.expires_at <= now)


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with expired requests, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, IdempotentRequest, IdempotentRequest.expires_at <= now)


def _matches(claim: RequestClaim) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return IdempotentRequest.id == claim.id, IdempotentRequest.attempt == claim.attempt


def _update_held(claim: RequestClaim) -> Update:
    """An update of the request that applies only while the claim is the current one."""
    return update(IdempotentRequest).where(*_matches(claim))


def _update_ended(claim: RequestClaim, now: datetime) -> Update:
    """Like ``_update_held``, and ends the claim: later changes under it and late heartbeats have no
    effect."""
    return _update_held(claim).values(attempt=claim.attempt + 1, lease_until=now)


def _forget(session: TenantSession, condition: ColumnElement[bool]) -> int:
    _remove_bodies(session, condition)
    return session.change(delete(IdempotentRequest).where(condition))


def _remove_bodies(session: TenantSession, condition: ColumnElement[bool]) -> int:
    """Discard the bodies of these answers; their status stays. Returns how many."""
    kept.lock(session, Kept.ANSWER)
    bodies = select(IdempotentRequest.body_key, IdempotentRequest.body_size).where(
        condition, HAS_BODY
    )
    rows = session.execute(bodies).all()
    kept.change_total(session, Kept.ANSWER, -sum(row.body_size or 0 for row in rows))
    discarded_objects.discard(session, [str(row.body_key) for row in rows])
    return session.change(
        update(IdempotentRequest).where(condition, HAS_BODY).values(body_key=None, body_size=None)
    )


EVICTION = kept.EvictionPolicy(
    Kept.ANSWER,
    select(IdempotentRequest.id, IdempotentRequest.body_size)
    .where(HAS_BODY)
    .order_by(IdempotentRequest.created_at),
    lambda session, ids: _remove_bodies(session, IdempotentRequest.id.in_(ids)),
)
