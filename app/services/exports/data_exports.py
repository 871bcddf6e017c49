"""Exports of all that an organization has, as its owners see them: ask for one, watch it, fetch it.

A worker makes the ZIP (``services/exports/data_export_worker``). The row decides what must be done;
the queue only tells a worker sooner.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import or_, select

from app.adapters.queue import enqueue_data_export
from app.adapters.storage.interface import Storage
from app.errors import Conflict, NotFound
from app.models import DataExport, DataExportStatus, Organization, new_id
from app.services import audit, discarded_objects
from app.services.accounts import members
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.exports.leased_zips import LEASE
from app.tenancy import TenantSession

log = structlog.get_logger()

RETENTION = timedelta(days=7)
"""How long a ZIP can be fetched."""
LINK_LIFETIME = timedelta(minutes=10)
"""How long the signed URL is valid that a click leads to."""
UNFINISHED = (DataExportStatus.QUEUED, DataExportStatus.RUNNING)


@dataclass(frozen=True)
class DueDataExport:
    """A data export that waits for a worker."""

    org_id: str
    export_id: str
    attempts: int

    @property
    def job_id(self) -> str:
        """The id of the queue's job. It stays the same until the export is claimed."""
        return f"{self.export_id}-{self.attempts}"


def create(session: TenantSession, principal: Principal, now: datetime) -> DataExport:
    """Ask for an export. The ZIP of an earlier one is removed.

    Raises RoleTooLow, and Conflict while another export is unfinished.
    """
    # The lock lets parallel requests see each other's exports.
    principal = members.lock(session, principal)
    principal.require(Action.EXPORT_DATA)
    if session.scalar(select(DataExport.id).where(DataExport.status.in_(UNFINISHED))):
        raise Conflict("A data export is being made. Wait for it, then ask for the next one.")
    for earlier in session.scalars(select(DataExport)).all():
        _remove(session, earlier)
    export = DataExport(
        id=new_id("data", now),
        actor=principal.actor,
        status=DataExportStatus.QUEUED,
        lease_until=now + LEASE,
        created_at=now,
    )
    session.add(export)
    session.flush()
    audit.record(session, principal.actor, "data_export.requested", {}, {"export": export.id}, now)
    return export


def newest(session: TenantSession, now: datetime) -> DataExport | None:
    """The only export there is, unless it has expired."""
    kept = or_(DataExport.expires_at.is_(None), DataExport.expires_at > now)
    return session.scalar(select(DataExport).where(kept).order_by(DataExport.id.desc()).limit(1))


def download_url(
    session: TenantSession, principal: Principal, storage: Storage, now: datetime
) -> str:
    """A signed URL of the ZIP, a path where storage is local. Raises RoleTooLow, NotFound."""
    principal.require(Action.EXPORT_DATA)
    export = newest(session, now)
    if export is None or export.storage_key is None:
        raise NotFound("There is no data export to fetch. It may have expired; ask for a new one.")
    organization = session.get_one(Organization, principal.org_id)
    audit.record(session, principal.actor, "data_export.fetched", {}, {"export": export.id}, now)
    return storage.presign_get(
        export.storage_key,
        filename=f"{organization.slug}-{export.created_at:%Y-%m-%d}.zip",
        content_type="application/zip",
        inline=False,
        expires_at=now + LINK_LIFETIME,
        now=now,
    )


def enqueue(connection: Redis, due: DueDataExport) -> None:
    """Enqueue a job for the export. If the queue does not answer, the worker finds the row a little
    later."""
    try:
        enqueue_data_export(connection, due.org_id, due.export_id, due.job_id)
    except RedisError as error:
        log.warning("data_export.not_enqueued", export_id=due.export_id, error=str(error))


def due(export: DataExport) -> DueDataExport:
    """The values of a new export that its job needs."""
    return DueDataExport(export.org_id, export.id, export.attempts)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete expired exports and discard their ZIPs. Returns how many."""
    expired = session.scalars(select(DataExport).where(DataExport.expires_at <= now)).all()
    for export in expired:
        _remove(session, export)
    return len(expired)


def organizations_with_expired(session: TenantSession, now: datetime) -> set[tuple[str]]:
    """The organizations with expired exports, as (org,); ``session`` must be unscoped."""
    org_ids = select(DataExport.org_id).where(DataExport.expires_at <= now).distinct()
    return {(org_id,) for org_id in session.scalars(org_ids)}


def zip_key(export: DataExport, attempt: int) -> str:
    return f"data-exports/{export.org_id}/{export.id}-{attempt}.zip"


def _remove(session: TenantSession, export: DataExport) -> None:
    if export.storage_key:
        discarded_objects.discard(session, [export.storage_key])
    session.delete(export)
