"""The ZIPs of batch exports, which are kept for a day and as long as they fit
(``services/kept``)."""

from collections.abc import Generator
from contextlib import closing
from datetime import datetime

from sqlalchemy import ColumnElement, case, select, update

from app.models import Export, Kept
from app.models.exports import HAS_ZIP
from app.services import discarded_objects, kept
from app.tenancy import TenantSession


class ZipTooLarge(Exception):
    """A ZIP is larger than the limit of all kept ZIPs."""


def within(limit: int, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """Yield ``chunks`` as long as they have at most ``limit`` bytes in total, and close them.

    Raises ZipTooLarge.
    """
    size = 0
    with closing(chunks):
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise ZipTooLarge
            yield chunk


def remove(session: TenantSession, condition: ColumnElement[bool], now: datetime) -> int:
    """Discard the ZIPs of these exports and mark the exports expired. Returns how many."""
    kept.lock(session, Kept.EXPORT)
    zips = session.execute(select(Export.storage_key, Export.size).where(condition, HAS_ZIP)).all()
    discarded_objects.discard(session, [str(one.storage_key) for one in zips])
    kept.change_total(session, Kept.EXPORT, -sum(one.size or 0 for one in zips))
    ends = case((Export.expires_at > now, now), else_=Export.expires_at)
    session.change(
        update(Export).where(condition, HAS_ZIP).values(storage_key=None, expires_at=ends)
    )
    return len(zips)


def eviction(now: datetime) -> kept.EvictionPolicy:
    return kept.EvictionPolicy(
        Kept.EXPORT,
        select(Export.id, Export.size).where(HAS_ZIP).order_by(Export.finished_at),
        lambda session, ids: remove(session, Export.id.in_(ids), now),
    )
