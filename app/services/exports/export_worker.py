"""The worker's part of batch exports: claims an export, makes its ZIP and marks it done.

A worker claims an export by raising its attempt, and renews its lease while it works. When the
worker dies, the lease ends and the export is enqueued again. Finished renditions are kept and
counted already, so a second attempt only packs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Update, and_, select, update
from sqlalchemy.orm import undefer

from app.extensions import transaction
from app.models import Actor, Export, ExportStatus, Kept, Mode
from app.services import discarded_objects, kept
from app.services.accounts import keys
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.exports import export_zips, exports
from app.services.exports.export_jobs import UNFINISHED, ZIP_RETENTION, DueExport, zip_key
from app.services.exports.exports import Config, Progress
from app.services.exports.leased_zips import LEASE, LeasedZip, LeaseLost
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession

log = structlog.get_logger()

MAX_ATTEMPTS = 20
SUSPENDED = "The organization was suspended before the export was made. Ask for it once more later."


@dataclass(frozen=True)
class Attempt:
    """One worker's claim on an export."""

    export_id: str
    actor: Actor
    number: int
    asset_ids: Sequence[str]
    config: Config
    storage_key: str


def requeue_due(session: TenantSession, now: datetime) -> list[DueExport]:
    """Mark unfinished exports whose lease has ended as queued and return them; ``session`` must be
    unscoped.

    Their workers died, or their jobs were lost. An export with ``MAX_ATTEMPTS`` attempts is marked
    failed.
    """
    over = and_(Export.status.in_(UNFINISHED), Export.lease_until <= now)
    session.change(
        update(Export)
        .where(over, Export.attempt >= MAX_ATTEMPTS)
        .values(
            status=ExportStatus.FAILED,
            error="The export could not be made; try it once more.",
            finished_at=now,
        )
    )
    requeued = (
        update(Export)
        .where(over)
        .values(status=ExportStatus.QUEUED, lease_until=now + LEASE)
        .returning(Export.org_id, Export.mode, Export.id, Export.attempt)
    )
    rows = session.execute(requeued, execution_options={"synchronize_session": False})
    return [DueExport(*row) for row in rows]


def work(
    org_id: str, mode: str, export_id: str, context: ProcessingContext, test_images: int
) -> None:
    """Make an export's ZIP, unless another worker does or it is finished. That of an organization
    which was suspended meanwhile fails.

    ``test_images`` is the daily limit of images of test keys.
    """
    with transaction(org_id, mode) as session:
        attempt = _claim(session, export_id, context.clock())
    if attempt is not None:
        now = context.clock()
        principal = keys.principal_of(attempt.actor, org_id, Mode(mode), now, test_images)
        packing = _Packing(principal, attempt, context)
        if principal.suspended is None:
            packing.run()
        else:
            packing.fail(SUSPENDED)


def _claim(session: TenantSession, export_id: str, now: datetime) -> Attempt | None:
    queued = update(Export).where(Export.id == export_id, Export.status == ExportStatus.QUEUED)
    if not session.change(
        queued.values(
            status=ExportStatus.RUNNING, attempt=Export.attempt + 1, lease_until=now + LEASE
        )
    ):
        return None
    export = session.scalars(
        select(Export).where(Export.id == export_id).options(undefer(Export.asset_ids))
    ).one()
    if export.attempt > 1:
        discarded_objects.discard(session, [zip_key(export, export.attempt - 1)])
    return Attempt(
        export_id=export.id,
        actor=export.actor,
        number=export.attempt,
        asset_ids=export.asset_ids,
        config=Config.from_json(export.config),
        storage_key=zip_key(export, export.attempt),
    )


@dataclass(frozen=True)
class _Packing:
    """The work of one attempt."""

    principal: Principal
    attempt: Attempt
    context: ProcessingContext
    progress: Progress = field(default_factory=Progress)

    def run(self) -> None:
        attempt, context = self.attempt, self.context
        archive = exports.zip_of(
            self.principal, attempt.asset_ids, attempt.config, context, self.progress
        )
        try:
            LeasedZip(context.storage, attempt.storage_key, self._renew).put(
                export_zips.within(self._limit, archive)
            )
            self._finish()
        except LeaseLost:
            log.info("export.lost", export_id=attempt.export_id, attempt=attempt.number)
        except export_zips.ZipTooLarge:
            self.fail(
                f"The ZIP has more than {self._limit // MEGABYTE:,} MB, the most that is kept of "
                "exports here. Export fewer assets at once, or smaller copies, or have the ZIP "
                "streamed."
            )

    def _renew(self) -> bool:
        """Renew the lease and store the progress. Returns False if the claim is lost."""
        lease = {"lease_until": self.context.clock() + LEASE}
        with transaction(*self.principal.partition) as session:
            return session.change(self._mine.values(**lease, **self._counts)) == 1

    def _finish(self) -> None:
        """Mark the export done. If it was cancelled or claimed by another worker meanwhile, discard
        the ZIP.

        Raises ZipTooLarge.
        """
        now, key = self.context.clock(), self.attempt.storage_key
        size = self.context.storage.size(key) or 0
        done: dict[str, Any] = {
            "status": ExportStatus.DONE,
            "storage_key": key,
            "size": size,
            "finished_at": now,
            "expires_at": now + ZIP_RETENTION,
        }
        if failures := self.progress.failures[: exports.MAX_FAILURES]:
            done["config"] = self.attempt.config.to_json() | {exports.FAILURES: failures}
        with transaction(*self.principal.partition) as session:
            if not kept.add(session, export_zips.eviction(now), size, self._limit):
                raise export_zips.ZipTooLarge
            if not session.change(self._mine.values(**done, **self._counts)):
                kept.change_total(session, Kept.EXPORT, -size)
                discarded_objects.discard(session, [key])

    def fail(self, error: str) -> None:
        """Mark the export failed. It is not tried again."""
        failed = {
            "status": ExportStatus.FAILED,
            "error": error,
            "finished_at": self.context.clock(),
        }
        with transaction(*self.principal.partition) as session:
            discarded_objects.discard(session, [self.attempt.storage_key])
            session.change(self._mine.values(**failed))

    @property
    def _mine(self) -> Update:
        """An update of the export that applies only while the claim is the current one."""
        return update(Export).where(
            Export.id == self.attempt.export_id,
            Export.attempt == self.attempt.number,
            Export.status == ExportStatus.RUNNING,
        )

    @property
    def _counts(self) -> dict[str, int]:
        return {"processed": self.progress.processed, "failed": len(self.progress.failures)}

    @property
    def _limit(self) -> int:
        return kept.max_bytes(self.principal, Kept.EXPORT)
