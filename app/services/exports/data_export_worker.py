"""The worker's part of data exports: claims an export, makes its ZIP, and mails who asked for it.

A claim raises ``attempts`` and has a lease, as that of a batch export
(``services/exports/export_worker``).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Update, and_, select, update

from app.extensions import transaction
from app.models import ActorKind, DataExport, DataExportStatus, Organization, User
from app.services import discarded_objects, mail
from app.services.exports import data_export_files
from app.services.exports.data_export_files import Progress
from app.services.exports.data_exports import RETENTION, UNFINISHED, DueDataExport, zip_key
from app.services.exports.leased_zips import LEASE, LeasedZip, LeaseLost
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession

log = structlog.get_logger()

MAX_ATTEMPTS = 10
FAILED_RETENTION = timedelta(days=7)
"""How long the page says that an export failed."""


def requeue_due(session: TenantSession, now: datetime) -> list[DueDataExport]:
    """Mark unfinished exports whose lease has ended as queued and return them; ``session`` must be
    unscoped. An export with ``MAX_ATTEMPTS`` attempts is marked failed."""
    over = and_(DataExport.status.in_(UNFINISHED), DataExport.lease_until <= now)
    session.change(
        update(DataExport)
        .where(over, DataExport.attempts >= MAX_ATTEMPTS)
        .values(
            status=DataExportStatus.FAILED,
            error="The export could not be made. Ask for it once more.",
            expires_at=now + FAILED_RETENTION,
        )
    )
    requeued = (
        update(DataExport)
        .where(over)
        .values(status=DataExportStatus.QUEUED, lease_until=now + LEASE)
        .returning(DataExport.org_id, DataExport.id, DataExport.attempts)
    )
    rows = session.execute(requeued, execution_options={"synchronize_session": False})
    return [DueDataExport(*row) for row in rows]


def work(org_id: str, export_id: str, context: ProcessingContext, site: str) -> None:
    """Make an export's ZIP, unless another worker does or it is finished. ``site`` is the address
    that links in mails begin with."""
    with transaction(org_id) as session:
        claimed = _claim(session, export_id, context.clock())
    if claimed is not None:
        _Packing(claimed, context, site).run()


def _claim(session: TenantSession, export_id: str, now: datetime) -> DataExport | None:
    queued = update(DataExport).where(
        DataExport.id == export_id, DataExport.status == DataExportStatus.QUEUED
    )
    if not session.change(
        queued.values(
            status=DataExportStatus.RUNNING,
            attempts=DataExport.attempts + 1,
            processed=0,
            lease_until=now + LEASE,
        )
    ):
        return None
    claimed = session.scalars(select(DataExport).where(DataExport.id == export_id)).one()
    if claimed.attempts > 1:
        discarded_objects.discard(session, [zip_key(claimed, claimed.attempts - 1)])
    return claimed


@dataclass(frozen=True)
class _Packing:
    """The work of one attempt. ``claimed`` is the row as it was claimed."""

    claimed: DataExport
    context: ProcessingContext
    site: str
    progress: Progress = field(default_factory=Progress)

    def run(self) -> None:
        claimed, storage = self.claimed, self.context.storage
        archive = data_export_files.zip_of(claimed.org_id, self.context, self.progress)
        key = zip_key(claimed, claimed.attempts)
        try:
            LeasedZip(storage, key, self._renew).put(archive)
            self._finish(key, storage.size(key) or 0)
        except LeaseLost:
            log.info("data_export.lost", export_id=claimed.id, attempt=claimed.attempts)

    def _renew(self) -> bool:
        """Renew the lease and store the progress. Returns False if the claim is lost."""
        lease = {"lease_until": self.context.clock() + LEASE}
        with transaction(self.claimed.org_id) as session:
            return session.change(self._mine.values(**lease, **self._counts)) == 1

    def _finish(self, key: str, size: int) -> None:
        """Mark the export done and mail who asked for it. If it was claimed by another worker
        meanwhile, discard the ZIP."""
        now = self.context.clock()
        done = {
            "status": DataExportStatus.DONE,
            "storage_key": key,
            "size": size,
            "expires_at": now + RETENTION,
        }
        with transaction(self.claimed.org_id) as session:
            if session.change(self._mine.values(**done, **self._counts)):
                self._tell(session, now)
            else:
                discarded_objects.discard(session, [key])

    def _tell(self, session: TenantSession, now: datetime) -> None:
        organization = session.get_one(Organization, self.claimed.org_id)
        is_person = self.claimed.actor_kind == ActorKind.USER
        asker = session.get(User, self.claimed.actor_id) if is_person else None
        if asker is None:
            return
        url = f"{self.site}/dashboard/{organization.slug}/settings#data-export"
        mail.queue(
            session,
            asker.email,
            "data-export-done",
            now,
            organization=organization.name,
            url=url,
            expires_at=now + RETENTION,
        )

    @property
    def _mine(self) -> Update:
        """An update of the export that applies only while the claim is the current one."""
        return update(DataExport).where(
            DataExport.id == self.claimed.id,
            DataExport.attempts == self.claimed.attempts,
            DataExport.status == DataExportStatus.RUNNING,
        )

    @property
    def _counts(self) -> dict[str, int]:
        return {"processed": self.progress.processed, "total": self.progress.total}
