"""Answers that are kept, so that a repeated request is not processed twice."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.actors import ActedBy
from app.models.types import UtcDateTime
from app.tenancy import Partitioned


class IdempotentRequest(ActedBy, Partitioned, Base):
    """A request that carried an ``Idempotency-Key``; ``status`` is NULL until it is answered.

    ``fingerprint`` is the SHA-256 of the request. The process that works on it has raised
    ``attempt`` and renews ``lease_until``; once the lease has ended another process may take over.
    ``result_id`` is the asset or the export that the request made. ``body_key`` is the storage key
    of the answer's bytes, as long as they are kept.
    """

    __tablename__ = "idempotent_requests"
    __table_args__ = (
        UniqueConstraint(
            "org_id",
            "actor_kind",
            "actor_id",
            "method",
            "path",
            "idempotency_key",
            name="uq_idempotent_requests_asked",
        ),
        Index("ix_idempotent_requests_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(255))
    idempotency_key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(default=1)
    result_id: Mapped[str | None] = mapped_column(String(32))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    body_key: Mapped[str | None] = mapped_column(String(255))
    body_size: Mapped[int | None] = mapped_column(BigInteger)
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


HAS_BODY = IdempotentRequest.body_key.is_not(None)
Index(
    "ix_idempotent_requests_kept",
    IdempotentRequest.org_id,
    IdempotentRequest.mode,
    IdempotentRequest.created_at,
    sqlite_where=HAS_BODY,
    postgresql_where=HAS_BODY,
)
"""Finds the oldest answers that are kept."""
