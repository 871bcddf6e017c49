"""Batch exports as clients see them: create, list, cancel, delete.

A worker makes the ZIP (``services/exports/export_worker``). The row decides what must be done; the
queue only tells a worker sooner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import and_, delete, func, or_, select, tuple_, update

from app.adapters.queue import enqueue_export
from app.errors import Conflict, NotFound, RateLimited
from app.models import Export, ExportStatus, new_id
from app.services import discarded_objects, idempotency
from app.services.accounts.principal import Principal
from app.services.exports import export_zips, exports
from app.services.exports.exports import Config
from app.services.exports.leased_zips import LEASE
from app.services.idempotency import RequestClaim
from app.tenancy import TenantSession, insert_if_absent, partitions_with

log = structlog.get_logger()

MAX_ASSETS = 50_000
MAX_UNFINISHED = 20
ZIP_RETENTION = timedelta(hours=24)
"""How long a ZIP is kept, unless it is removed earlier to make room for newer ones."""
EXPORT_RETENTION = timedelta(days=30)
UNFINISHED = (ExportStatus.QUEUED, ExportStatus.RUNNING)


@dataclass(frozen=True)
class DueExport:
    """An export that waits for a worker."""

    org_id: str
    mode: str
    export_id: str
    attempt: int

    @property
    def job_id(self) -> str:
        """The id of the queue's job. It stays the same until the export is claimed."""
        return f"{self.export_id}-{self.attempt}"


def create(
    session: TenantSession,
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    now: datetime,
    request: RequestClaim | None = None,
    export_id: str | None = None,
) -> Export:
    """Create an export, or return the one that an earlier attempt at ``request`` created, or that
    has this ``export_id``, which a form may bring along.

    Raises NotFound naming unknown assets, QuotaExceeded, RateLimited if too many exports are
    unfinished, Conflict if another export has this id.
    """
    known = export_id or idempotency.result_of(session, request)
    if earlier := session.scalar(select(Export).where(Export.id == known)):
        if export_id and not _is_same(session, earlier, asset_ids, config):
            raise Conflict("This form has started an export already, of other images or settings.")
        return earlier
    exports.check(session, principal, asset_ids, config, now)
    _check_unfinished(session)
    export_id = export_id or new_id("exp", now)
    insert_if_absent(
        session,
        Export,
        id=export_id,
        actor_kind=principal.actor.kind,
        actor_id=principal.actor.id,
        status=ExportStatus.QUEUED,
        config=config.to_json(),
        asset_ids=list(asset_ids),
        total=len(asset_ids),
        processed=0,
        failed=0,
        attempt=0,
        lease_until=now + LEASE,
        created_at=now,
    )
    idempotency.remember(session, request, export_id)
    return get(session, export_id)


def _is_same(
    session: TenantSession, export: Export, asset_ids: Sequence[str], config: Config
) -> bool:
    ids = session.scalar(select(Export.asset_ids).where(Export.id == export.id))
    return ids == list(asset_ids) and Config.from_json(export.config) == config


def _check_unfinished(session: TenantSession) -> None:
    """Raises RateLimited."""
    unfinished = session.scalar(
        select(func.count()).select_from(Export).where(Export.status.in_(UNFINISHED))
    )
    if (unfinished or 0) >= MAX_UNFINISHED:
        raise RateLimited(
            f"{unfinished} batch exports are unfinished, which is the most. Wait for one to end, "
            "or cancel one.",
            headers={"Retry-After": "30"},
        )


def get(session: TenantSession, export_id: str) -> Export:
    """Raises NotFound."""
    if export := session.scalar(select(Export).where(Export.id == export_id)):
        return export
    raise NotFound(f"Export '{export_id}' does not exist in this workspace.")


def newest(session: TenantSession, number: int, before: str = "") -> list[Export]:
    """The newest exports first; ``before`` is the id of the last one of the page before."""
    wanted = select(Export).order_by(Export.created_at.desc(), Export.id.desc()).limit(number)
    last = session.scalar(select(Export).where(Export.id == before)) if before else None
    if last is not None:
        wanted = wanted.where(tuple_(Export.created_at, Export.id) < (last.created_at, last.id))
    return list(session.scalars(wanted))


def cancel(session: TenantSession, export_id: str, now: datetime) -> bool:
    """Cancel an unfinished export, which its worker notices. Returns False for one that has ended.
    Raises NotFound."""
    export = get(session, export_id)
    unfinished = update(Export).where(Export.id == export_id, Export.status.in_(UNFINISHED))
    if not session.change(unfinished.values(status=ExportStatus.CANCELLED, finished_at=now)):
        return False
    discarded_objects.discard(session, [zip_key(export, export.attempt)])
    return True


def forget(session: TenantSession, export_id: str, now: datetime) -> None:
    """Delete an export that has ended, with its ZIP. Raises NotFound, Conflict for one that has not
    ended."""
    if get(session, export_id).status in UNFINISHED:
        raise Conflict("The export is still running: cancel it first.")
    _delete(session, export_id, now)


def cancel_or_delete(session: TenantSession, export_id: str, now: datetime) -> None:
    """Cancel an unfinished export, or delete a finished one with its ZIP. Raises NotFound."""
    if cancel(session, export_id, now):
        return
    export = get(session, export_id)
    session.refresh(export)
    if export.status != ExportStatus.CANCELLED:
        _delete(session, export_id, now)


def _delete(session: TenantSession, export_id: str, now: datetime) -> None:
    export_zips.remove(session, Export.id == export_id, now)
    session.change(delete(Export).where(Export.id == export_id))


def enqueue(connection: Redis, due: DueExport) -> None:
    """Enqueue a job for the export. If the queue does not answer, the worker finds the row a little
    later."""
    try:
        enqueue_export(connection, due.org_id, due.mode, due.export_id, due.job_id)
    except RedisError as error:
        log.warning("export.not_enqueued", export_id=due.export_id, error=str(error))


def due(export: Export) -> DueExport:
    """The values of a new export that its job needs."""
    return DueExport(export.org_id, export.mode, export.id, export.attempt)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Remove expired ZIPs and delete old exports. Returns how many ZIPs."""
    expired = export_zips.remove(session, Export.expires_at <= now, now)
    session.change(
        delete(Export).where(
            Export.finished_at <= now - EXPORT_RETENTION, Export.storage_key.is_(None)
        )
    )
    return expired


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with expired ZIPs or exports, as (org, mode); ``session`` must be unscoped."""
    over = or_(
        and_(Export.expires_at <= now, Export.storage_key.is_not(None)),
        Export.finished_at <= now - EXPORT_RETENTION,
    )
    return partitions_with(session, Export, over)


def zip_key(export: Export, attempt: int) -> str:
    return f"exports/{export.org_id}/{export.id}-{attempt}.zip"
