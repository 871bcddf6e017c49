"""Which renditions are there, and how long: while they are needed and fit (``services/kept``)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from app.imaging import Transform
from app.models import Asset, Kept, MediaType, Rendition
from app.services import discarded_objects, kept
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession, partitions_with

KEPT = timedelta(days=30)
"""A rendition that nobody asked for so long is forgotten; it can be made again."""
ORPHANED = timedelta(hours=1)
"""When a claim's holder surely is dead and nobody has taken it over."""


def missing(
    session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform
) -> int:
    """How many images an export of these assets has to render: contents without a rendition that is
    ready."""
    transform_key = principal.watermarked_for_test(transform).canonical()
    ready = select(Rendition.id).where(
        Rendition.content == Asset.content,
        Rendition.transform_key == transform_key,
        Rendition.ready,
    )
    return (
        session.scalar(
            select(func.count(Asset.content.distinct())).where(
                Asset.id.in_(asset_ids), Asset.media_type == MediaType.IMAGE, ~ready.exists()
            )
        )
        or 0
    )


def remove_all(session: TenantSession, content: str) -> None:
    """Forget a content's renditions, those that are being made among them."""
    _forget(session, Rendition.content == content)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Forget what nobody asks for, and claims whose holder died. Returns how many."""
    return _forget(session, _expired(now))


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    return partitions_with(session, Rendition, _expired(now))


def _expired(now: datetime) -> ColumnElement[bool]:
    unused = and_(Rendition.ready.is_(True), Rendition.needed_until <= now - KEPT)
    orphaned = and_(Rendition.ready.is_(False), Rendition.needed_until <= now - ORPHANED)
    return or_(unused, orphaned)


def _forget(session: TenantSession, condition: ColumnElement[bool]) -> int:
    kept.lock(session, Kept.RENDITION)
    gone = (
        delete(Rendition)
        .where(condition)
        .returning(Rendition.storage_key, Rendition.ready, Rendition.size)
    )
    rows = session.execute(gone, execution_options={"synchronize_session": False}).all()
    kept.shift(session, Kept.RENDITION, -sum(row.size or 0 for row in rows if row.ready))
    discarded_objects.discard(session, [row.storage_key for row in rows])
    return len(rows)


EVICTION = kept.EvictionPolicy(
    Kept.RENDITION,
    select(Rendition.id, Rendition.size)
    .where(Rendition.ready.is_(True))
    .order_by(Rendition.needed_until),
    lambda session, ids: _forget(session, Rendition.id.in_(ids)),
)
