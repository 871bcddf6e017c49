"""How long renditions are kept: while they are needed and fit (``services/kept``)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select

from app.imaging import Transform
from app.models import Asset, Kept, MediaType, Rendition
from app.services import discarded_objects, kept
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession, partitions_with

RETENTION = timedelta(days=30)
"""A rendition that was not requested for this long is deleted; it can be made again."""
ORPHANED_AFTER = timedelta(hours=1)
"""After this time the holder of a claim is surely dead and no other request has taken it over."""


def missing(
    session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform
) -> set[str]:
    """What an export of these assets has to render: the contents of images without a ready
    rendition."""
    transform_key = principal.watermarked_for_test(transform).canonical()
    ready = select(Rendition.id).where(
        Rendition.content == Asset.content,
        Rendition.transform_key == transform_key,
        Rendition.ready,
    )
    wanted = select(Asset.content).where(
        Asset.id.in_(asset_ids), Asset.media_type == MediaType.IMAGE, ~ready.exists()
    )
    return set(session.scalars(wanted.distinct()))


def count_missing(
    session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform
) -> int:
    return len(missing(session, principal, asset_ids, transform))


def remove_all(session: TenantSession, contents: Iterable[str]) -> None:
    """Delete the renditions of these contents, including those that are being made."""
    _forget(session, Rendition.content.in_(sorted(contents)))


def release_expired(session: TenantSession, now: datetime) -> int:
    """Delete unused renditions, and claims whose holder died. Returns how many."""
    return _forget(session, _expired(now))


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """The partitions with expired renditions, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, Rendition, _expired(now))


def _expired(now: datetime) -> ColumnElement[bool]:
    unused = and_(Rendition.ready.is_(True), Rendition.needed_until <= now - RETENTION)
    orphaned = and_(Rendition.ready.is_(False), Rendition.needed_until <= now - ORPHANED_AFTER)
    return or_(unused, orphaned)


def _forget(session: TenantSession, condition: ColumnElement[bool]) -> int:
    kept.lock(session, Kept.RENDITION)
    gone = (
        delete(Rendition)
        .where(condition)
        .returning(Rendition.storage_key, Rendition.ready, Rendition.size)
    )
    rows = session.execute(gone, execution_options={"synchronize_session": False}).all()
    kept.change_total(session, Kept.RENDITION, -sum(row.size or 0 for row in rows if row.ready))
    discarded_objects.discard(session, [row.storage_key for row in rows])
    return len(rows)


EVICTION = kept.EvictionPolicy(
    Kept.RENDITION,
    select(Rendition.id, Rendition.size)
    .where(Rendition.ready.is_(True))
    .order_by(Rendition.needed_until),
    lambda session, ids: _forget(session, Rendition.id.in_(ids)),
)
