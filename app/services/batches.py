"""Batch exports: an export's ZIP, made by a worker and kept for a day.

The row is the truth and the queue only a hint. A worker claims an export by raising its attempt,
and renews its lease while it works; when it dies, the lease ends and the export is enqueued again.
Renditions that were made stay made, and counted, so that a second attempt only packs them.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Update, and_, delete, func, or_, select, update
from sqlalchemy.orm import undefer

from app.adapters.queue import enqueue_export
from app.errors import NotFound, RateLimited
from app.extensions import transaction
from app.models import Actor, Export, ExportStatus, Kept, Mode, new_id
from app.services import exports, idempotency, kept, keys, space, zips
from app.services.exports import Config, Progress
from app.services.heartbeat import Heartbeat
from app.services.idempotency import Claim
from app.services.principal import MEGABYTE, Principal
from app.services.workshop import Workshop
from app.tenancy import TenantSession

log = structlog.get_logger()

MOST_ASSETS = 50_000
MOST_UNFINISHED = 20
KEPT = timedelta(hours=24)
"""How long a ZIP is kept, unless newer ones take its place before."""
REMEMBERED = timedelta(days=30)
LEASE = timedelta(seconds=10)
HEARTBEAT_SECONDS = 2.0
MOST_ATTEMPTS = 20
UNFINISHED = (ExportStatus.QUEUED, ExportStatus.RUNNING)


class Lost(Exception):
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


@dataclass(frozen=True)
class Due:
    """An export that somebody must work on; ``job_id`` is the same until it is claimed."""

    org_id: str
    mode: str
    export_id: str
    job_id: str


def create(
    session: TenantSession,
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    now: datetime,
    request: Claim | None = None,
) -> Export:
    """A new export, or the one that this very ``request`` made before.

    Raises NotFound naming unknown assets, QuotaExceeded, RateLimited where too many are unfinished.
    """
    if earlier := session.scalar(
        select(Export).where(Export.id == idempotency.result_of(session, request))
    ):
        return earlier
    exports.check(session, principal, asset_ids, config, now)
    unfinished = session.scalar(
        select(func.count()).select_from(Export).where(Export.status.in_(UNFINISHED))
    )
    if (unfinished or 0) >= MOST_UNFINISHED:
        raise RateLimited(
            f"{unfinished} batch exports are unfinished, which is the most. Wait for one to end, "
            "or cancel one.",
            headers={"Retry-After": "30"},
        )
    export = Export(
        id=new_id("exp", now),
        actor=principal.actor,
        status=ExportStatus.QUEUED,
        config=config.to_json(),
        asset_ids=list(asset_ids),
        total=len(asset_ids),
        lease_until=now + LEASE,
        created_at=now,
    )
    session.add(export)
    session.flush()
    idempotency.remember(session, request, export.id)
    return export


def get(session: TenantSession, export_id: str) -> Export:
    """Raises NotFound."""
    if export := session.scalar(select(Export).where(Export.id == export_id)):
        return export
    raise NotFound(f"Export '{export_id}' does not exist in this workspace.")


def newest(session: TenantSession, number: int) -> list[Export]:
    return list(
        session.scalars(
            select(Export).order_by(Export.created_at.desc(), Export.id.desc()).limit(number)
        )
    )


def cancel(session: TenantSession, export_id: str, now: datetime) -> None:
    """End an export that is unfinished; its worker notices. Forget one that is finished, with its
    ZIP. NotFound."""
    export = get(session, export_id)
    unfinished = update(Export).where(Export.id == export_id, Export.status.in_(UNFINISHED))
    if session.change(unfinished.values(status=ExportStatus.CANCELLED, finished_at=now)):
        space.discard(session, [zip_key(export, export.attempt)])
        return
    session.refresh(export)
    if export.status == ExportStatus.CANCELLED:
        return
    zips.remove(session, Export.id == export_id, now)
    session.change(delete(Export).where(Export.id == export_id))


def send(connection: Redis, due: Due) -> None:
    """Tell the queue. Where it does not answer, the worker finds the row by itself a little
    later."""
    try:
        enqueue_export(connection, due.org_id, due.mode, due.export_id, due.job_id)
    except RedisError as error:
        log.warning("export.not_enqueued", export_id=due.export_id, error=str(error))


def due(export: Export) -> Due:
    """What the queue is told of a new export."""
    return _due(export.org_id, export.mode, export.id, export.attempt)


def _due(org_id: str, mode: str, export_id: str, attempt: int) -> Due:
    return Due(org_id, mode, export_id, f"{export_id}-{attempt}")


def take_due(session: TenantSession, now: datetime) -> list[Due]:
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
    return [_due(*row) for row in rows]


def work(org_id: str, mode: str, export_id: str, shop: Workshop, test_images: int) -> None:
    """Make an export's ZIP, unless somebody else does or it is finished.

    ``test_images`` bounds what test keys make in a day.
    """
    with transaction(org_id, mode) as session:
        attempt = _claim(session, export_id, shop.clock())
    if attempt is None:
        return
    principal = keys.principal_of(attempt.actor, org_id, Mode(mode), shop.clock(), test_images)
    progress = Progress()
    limit = kept.most(principal, Kept.EXPORT)
    try:
        with (
            _lease(principal, attempt, progress, shop) as lost,
            closing(
                exports.archive_of(principal, attempt.asset_ids, attempt.config, shop, progress)
            ) as chunks,
        ):
            shop.storage.put(
                attempt.storage_key, _until(lost, zips.within(limit, chunks)), "application/zip"
            )
        _finish(principal, attempt, progress, shop)
    except Lost:
        log.info("export.lost", export_id=export_id, attempt=attempt.number)
    except zips.TooMuch:
        _fail(principal, attempt, limit, shop.clock())


def release_expired(session: TenantSession, now: datetime) -> int:
    """Have ZIPs removed whose day is over, and forget old exports. Returns how many ZIPs."""
    expired = zips.remove(session, Export.expires_at <= now, now)
    session.change(
        delete(Export).where(Export.finished_at <= now - REMEMBERED, Export.storage_key.is_(None))
    )
    return expired


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    over = or_(
        and_(Export.expires_at <= now, Export.storage_key.is_not(None)),
        Export.finished_at <= now - REMEMBERED,
    )
    return {
        (row.org_id, row.mode)
        for row in session.execute(select(Export.org_id, Export.mode).where(over).distinct())
    }


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
        space.discard(session, [zip_key(export, export.attempt - 1)])
    return Attempt(
        export_id=export.id,
        actor=export.actor,
        number=export.attempt,
        asset_ids=export.asset_ids,
        config=Config.from_json(export.config),
        storage_key=zip_key(export, export.attempt),
    )


def zip_key(export: Export, attempt: int) -> str:
    return f"exports/{export.org_id}/{export.id}-{attempt}.zip"


@contextmanager
def _lease(
    principal: Principal, attempt: Attempt, progress: Progress, shop: Workshop
) -> Iterator[threading.Event]:
    """Keep the claim, and show the progress, from a thread beside the work; the event says that the
    claim is lost."""
    lost, context = threading.Event(), copy_context()

    def renew(_exports: frozenset[str]) -> None:
        if not context.run(_renew, principal, attempt, progress, shop.clock()):
            lost.set()

    with Heartbeat("export-lease", HEARTBEAT_SECONDS, renew).keeping(attempt.export_id):
        yield lost


def _renew(principal: Principal, attempt: Attempt, progress: Progress, now: datetime) -> bool:
    with transaction(*principal.partition) as session:
        return bool(
            session.change(
                _mine(attempt).values(
                    lease_until=now + LEASE,
                    processed=progress.processed,
                    failed=len(progress.failures),
                )
            )
        )


def _mine(attempt: Attempt) -> Update:
    return update(Export).where(
        Export.id == attempt.export_id,
        Export.attempt == attempt.number,
        Export.status == ExportStatus.RUNNING,
    )


def _until(lost: threading.Event, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if lost.is_set():
            raise Lost
        yield chunk


def _finish(principal: Principal, attempt: Attempt, progress: Progress, shop: Workshop) -> None:
    """Say that the ZIP is there; or have it removed, where the export was cancelled at the last
    moment.

    Raises TooMuch.
    """
    now, size = shop.clock(), shop.storage.size(attempt.storage_key) or 0
    with transaction(*principal.partition) as session:
        if not kept.add(session, zips.shelf(now), size, kept.most(principal, Kept.EXPORT)):
            raise zips.TooMuch
        done = session.change(
            _mine(attempt).values(
                status=ExportStatus.DONE,
                storage_key=attempt.storage_key,
                size=size,
                processed=progress.processed,
                failed=len(progress.failures),
                finished_at=now,
                expires_at=now + KEPT,
            )
        )
        if not done:
            kept.shift(session, Kept.EXPORT, -size)
            space.discard(session, [attempt.storage_key])


def _fail(principal: Principal, attempt: Attempt, limit: int, now: datetime) -> None:
    """Say that the ZIP is too large; it is not made again."""
    error = (
        f"The ZIP has more than {limit // MEGABYTE:,} MB, the most that is kept of exports here. "
        "Export fewer assets at once, or smaller copies, or have the ZIP streamed."
    )
    with transaction(*principal.partition) as session:
        space.discard(session, [attempt.storage_key])
        session.change(
            _mine(attempt).values(status=ExportStatus.FAILED, error=error, finished_at=now)
        )
