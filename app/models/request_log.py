"""The log of requests."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime
from app.tenancy import OrgOwned


class RequestEntry(OrgOwned, Base):
    """A request with a key, as staff see it: never its body, its key or a file's name.

    ``id`` is the request's. ``route`` is the rule that it matched, not the path. ``code`` is that
    of the error, None if the request went well. ``bytes_in`` and ``bytes_out`` are of the bodies,
    ``bytes_out`` None for a streamed answer.
    """

    __tablename__ = "request_entries"
    __table_args__ = (
        Index("ix_request_entries_org_id_id", "org_id", "id"),
        Index("ix_request_entries_created_at", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(32))
    mode: Mapped[str] = mapped_column(String(8))
    method: Mapped[str] = mapped_column(String(8))
    route: Mapped[str] = mapped_column(String(120))
    status: Mapped[int]
    code: Mapped[str | None] = mapped_column(String(64))
    milliseconds: Mapped[int]
    bytes_in: Mapped[int | None] = mapped_column(BigInteger)
    bytes_out: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


HAS_CODE = RequestEntry.code.is_not(None)
for _name, _columns in (
    ("errors", (RequestEntry.org_id, RequestEntry.id)),
    ("codes", (RequestEntry.org_id, RequestEntry.code, RequestEntry.id)),
):
    Index(
        f"ix_request_entries_{_name}",
        *_columns,
        sqlite_where=HAS_CODE,
        postgresql_where=HAS_CODE,
    )
"""Find the refused requests among all others: those with any code, or with one."""

HAS_FAILED = RequestEntry.status >= 500
Index(
    "ix_request_entries_failures",
    RequestEntry.created_at,
    sqlite_where=HAS_FAILED,
    postgresql_where=HAS_FAILED,
)
"""Find what broke on our side."""
