"""How long renditions are kept: as long as they are needed and fit (``services/kept``).

One is needed whenever it is asked for, and while a URL leads to it.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from app.models import Kept, Rendition
from app.services import kept, space
from app.tenancy import TenantSession, partitions_with

KEPT = timedelta(days=30)
"""A rendition that nobody asked for so long is forgotten; it can be made again."""
TOUCHED = timedelta(days=1)
"""How exactly it is known when a rendition was last asked for."""
SPARE = timedelta(minutes=10)
"""How much longer than its URL one is needed: so the next URLs of the same length change
nothing."""
ORPHANED = timedelta(hours=1)
"""When a claim's holder surely is dead and nobody has taken it over."""


def needed_until(now: datetime, ttl: timedelta | None) -> datetime:
    """``ttl`` is how long a URL will lead to it."""
    return now if ttl is None else now + ttl + SPARE


def need(session: TenantSession, row: Rendition, now: datetime, ttl: timedelta | None) -> bool:
    """Note that a rendition is needed, now or until a URL ends. False where it was forgotten just
    now."""
    if row.needed_until > (now - TOUCHED if ttl is None else now + ttl + SPARE / 2):
        return True
    ready = update(Rendition).where(Rendition.id == row.id, Rendition.ready.is_(True))
    return bool(session.change(ready.values(needed_until=needed_until(now, ttl))))


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
    space.discard(session, [row.storage_key for row in rows])
    return len(rows)


SHELF = kept.Shelf(
    Kept.RENDITION,
    select(Rendition.id, Rendition.size)
    .where(Rendition.ready.is_(True))
    .order_by(Rendition.needed_until),
    lambda session, ids: _forget(session, Rendition.id.in_(ids)),
)
