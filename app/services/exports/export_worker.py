"""The worker's part of batch exports: it claims one, makes its ZIP and says that it is there.

A worker claims an export by raising its attempt, and renews its lease while it works; when it dies,
the lease ends and the export is enqueued again. Renditions that were made stay made, and counted,
so that a second attempt only packs them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

import structlog
from sqlalchemy import Update, and_, select, update
from sqlalchemy.orm import undefer

from app.extensions import transaction
from app.models import Actor, Export, ExportStatus, Kept, Mode
from app.services import discarded_objects, kept
from app.services.accounts import keys
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.exports import export_zips, exports
from app.services.exports.export_jobs import KEPT, LEASE, UNFINISHED, DueExport, zip_key
from app.services.exports.exports import Config, Progress
from app.services.heartbeat import Heartbeat
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession

log = structlog.get_logger()

HEARTBEAT_SECONDS = 2.0
MOST_ATTEMPTS = 20


class LeaseLost(Exception):
    """The export was cancelled, or is somebody else's now."""


@dataclass(frozen=True)
class Attempt:
    """One worker's claim on an export."""

    export_id: str
    actor: Actor
    number: int
    asset_ids: Sequence[str]
    config: Config
    storage_key: str


def take_due(session: TenantSession, now: datetime) -> list[DueExport]:
    """Put exports whose lease is over back into the queue's order, and say which; ``session`` must
    be unscoped.

    Theirs are the workers that died, and the hints that were lost. One that went wrong too often
    has failed.
    """
    over = and_(Export.status.in_(UNFINISHED), Export.lease_until <= now)
    session.change(
        update(Export)
        .where(over, Export.attempt >= MOST_ATTEMPTS)
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
    """Make an export's ZIP, unless somebody else does or it is finished.

    ``test_images`` bounds what test keys make in a day.
    """
    with transaction(org_id, mode) as session:
        attempt = _claim(session, export_id, context.clock())
    if attempt is not None:
        now = context.clock()
        principal = keys.principal_of(attempt.actor, org_id, Mode(mode), now, test_images)
        _Packing(principal, attempt, context).run()


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
    """The work of one attempt. ``lost`` says that the claim is."""

    principal: Principal
    attempt: Attempt
    context: ProcessingContext
    progress: Progress = field(default_factory=Progress)
    lost: Event = field(default_factory=Event)

    def run(self) -> None:
        attempt, context = self.attempt, self.context
        variables = copy_context()  # for the thread that renews the lease beside the work
        heartbeat = Heartbeat[str](
            "export-lease", HEARTBEAT_SECONDS, lambda held: variables.run(self._renew, held)
        )
        archive = exports.zip_of(
            self.principal, attempt.asset_ids, attempt.config, context, self.progress
        )
        try:
            with heartbeat.keeping(attempt.export_id), closing(archive) as chunks:
                mine = self._until_lost(export_zips.within(self._limit, chunks))
                context.storage.put(attempt.storage_key, mine, "application/zip")
            self._finish()
        except LeaseLost:
            log.info("export.lost", export_id=attempt.export_id, attempt=attempt.number)
        except export_zips.TooMuch:
            self._fail()

    def _until_lost(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.lost.is_set():
                raise LeaseLost
            yield chunk

    def _renew(self, _held: frozenset[str]) -> None:
        """Keep the claim, and show the progress."""
        lease = {"lease_until": self.context.clock() + LEASE}
        with transaction(*self.principal.partition) as session:
            if not session.change(self._mine.values(**lease, **self._counts)):
                self.lost.set()

    def _finish(self) -> None:
        """Say that the ZIP is there; or have it removed, where the export was cancelled at the last
        moment.

        Raises TooMuch.
        """
        now, key = self.context.clock(), self.attempt.storage_key
        size = self.context.storage.size(key) or 0
        done = {
            "status": ExportStatus.DONE,
            "storage_key": key,
            "size": size,
            "finished_at": now,
            "expires_at": now + KEPT,
        }
        with transaction(*self.principal.partition) as session:
            if not kept.add(session, export_zips.eviction(now), size, self._limit):
                raise export_zips.TooMuch
            if not session.change(self._mine.values(**done, **self._counts)):
                kept.shift(session, Kept.EXPORT, -size)
                discarded_objects.discard(session, [key])

    def _fail(self) -> None:
        """Say that the ZIP is too large; it is not made again."""
        error = (
            f"The ZIP has more than {self._limit // MEGABYTE:,} MB, the most that is kept of "
            "exports here. Export fewer assets at once, or smaller copies, or have the ZIP "
            "streamed."
        )
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
        """A change of the export, as long as the claim is the one that counts."""
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
        return kept.most(self.principal, Kept.EXPORT)
