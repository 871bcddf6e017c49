"""Answers that are kept for a day, so that a client may repeat a POST without fear.

A claim is a row; whoever inserts it does the work, everybody else waits or gets the kept answer. A claim whose holder
died is taken over when its lease ends. The work itself is safe too: usage is reserved under the claim's id.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update

from app.errors import IdempotencyConflict, IdempotencyMismatch
from app.models import IdempotentRequest, new_id
from app.services.principal import Principal
from app.tenancy import TenantSession, insert_if_absent

KEPT = timedelta(hours=24)
LEASE = timedelta(minutes=15)


@dataclass(frozen=True)
class Claim:
    """The right to work a request. ``answer`` is the kept one, where the work is done already.

    ``outdated`` is the storage key of an answer older than a day that the claim replaced.
    """

    id: str
    answer: "KeptAnswer | None" = None
    outdated: str | None = None


@dataclass(frozen=True)
class KeptAnswer:
    status: int
    headers: dict[str, Any]
    body_key: str


def claim(
    session: TenantSession, principal: Principal, method: str, path: str, key: str, fingerprint: str, now: datetime
) -> Claim:
    """Claim a request, or find its kept answer. Raises IdempotencyConflict, IdempotencyMismatch."""
    identity = {"key_id": principal.key_id, "method": method, "path": path, "idempotency_key": key}
    outdated = session.scalars(
        select(IdempotentRequest).filter_by(**identity).where(IdempotentRequest.expires_at <= now).with_for_update()
    ).one_or_none()
    if outdated:
        session.delete(outdated)
        session.flush()
    claim_id = new_id("idem", now)
    lease = {"lease_until": now + LEASE, "created_at": now, "expires_at": now + KEPT}
    if insert_if_absent(session, IdempotentRequest, id=claim_id, fingerprint=fingerprint, **identity, **lease):
        return Claim(claim_id, outdated=outdated.body_key if outdated else None)
    row = session.scalars(select(IdempotentRequest).filter_by(**identity)).one()
    if row.fingerprint != fingerprint:
        raise IdempotencyMismatch("This Idempotency-Key was used for a different request: make a new key for it.")
    if row.status is not None:
        return Claim(row.id, KeptAnswer(row.status, row.headers or {}, row.body_key or ""))
    taken_over = session.change(
        update(IdempotentRequest)
        .where(IdempotentRequest.id == row.id, IdempotentRequest.lease_until <= now)
        .values(lease_until=now + LEASE)
    )
    if not taken_over:
        raise IdempotencyConflict(
            "The first request with this Idempotency-Key is still running.", headers={"Retry-After": "2"}
        )
    return Claim(row.id)


def keep(session: TenantSession, claim: Claim, answer: KeptAnswer) -> None:
    """Keep the answer of a claimed request."""
    session.change(
        update(IdempotentRequest)
        .where(IdempotentRequest.id == claim.id)
        .values(status=answer.status, headers=answer.headers, body_key=answer.body_key)
    )


def forget(session: TenantSession, claim: Claim) -> None:
    """Give a claim up, so that the request can be tried again."""
    session.change(delete(IdempotentRequest).where(IdempotentRequest.id == claim.id))


def take_expired(session: TenantSession, now: datetime) -> list[str]:
    """Delete what is older than a day and return the storage keys that nothing needs any more.

    ``session`` must be unscoped.
    """
    expired = session.scalars(select(IdempotentRequest).where(IdempotentRequest.expires_at <= now)).all()
    for row in expired:
        session.delete(row)
    return [row.body_key for row in expired if row.body_key]
