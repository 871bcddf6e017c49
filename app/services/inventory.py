"""Storage compared with the rows, both ways: objects that no row knows, and rows whose object is
missing.

Rows lead and objects follow (docs/decisions/008), so neither should be there. Storage is listed
once, page by page, and each page is looked up by index. How many objects of an organization were
met that its rows need tells whether any is missing: only where the numbers differ is each row's
object asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from app.adapters.storage.interface import Storage, Stored
from app.extensions import transaction
from app.models import Asset, DiscardedObject, Export, IdempotentRequest, Rendition, Upload
from app.services.exports import export_jobs
from app.services.library import ingest
from app.services.library.ingest import INCOMING
from app.tenancy import TenantSession, unscoped

log = structlog.get_logger()

SETTLED = timedelta(hours=1)
"""What is younger may be on its way."""
PAGE = 1000
LOGGED = 100


@dataclass(frozen=True)
class Need:
    """Rows that need the object that the column ``key`` names, from ``since`` on, where they are
    ``there``."""

    prefix: str
    key: InstrumentedAttribute[Any]
    since: InstrumentedAttribute[Any]
    there: ColumnElement[bool]

    @classmethod
    def of(
        cls, prefix: str, key: InstrumentedAttribute[Any], since: InstrumentedAttribute[Any]
    ) -> "Need":
        return cls(prefix, key, since, key.is_not(None))

    @property
    def org_id(self) -> Any:
        return self.key.class_.org_id

    def settled(self, now: datetime) -> ColumnElement[bool]:
        return and_(self.there, self.since <= now - SETTLED)


NEEDS = (
    Need.of("orgs", Asset.storage_key, Asset.uploaded_at),
    Need.of("thumbnails", Asset.thumbnail_key, Asset.uploaded_at),
    Need("renditions", Rendition.storage_key, Rendition.created_at, Rendition.ready.is_(True)),
    Need.of("exports", Export.storage_key, Export.finished_at),
    Need.of("idempotency", IdempotentRequest.body_key, IdempotentRequest.created_at),
)


@dataclass(frozen=True)
class StorageDifference:
    """``size`` is None where the object is missing, and its bytes where no row knows it."""

    key: str
    size: int | None

    @property
    def problem(self) -> str:
        return (
            "is missing in storage"
            if self.size is None
            else f"has {self.size:,} bytes, and no row knows it"
        )


def compare(storage: Storage, now: datetime) -> Iterator[StorageDifference]:
    """All differences older than an hour. Changes meanwhile make none."""
    met = Counter[tuple[str, str]]()
    for page in storage.pages():
        with transaction() as session, unscoped(session, "compare storage"):
            known = _known(session, page, met, now)
        for found in page:
            if found.key not in known and found.modified_at <= now - SETTLED:
                yield StorageDifference(found.key, found.size)
    for need in NEEDS:
        for org_id in _incomplete(need, met, now):
            yield from _missing(storage, need, org_id, now)


def report(storage: Storage, now: datetime) -> int:
    """Log what differs, the first hundred each by its key. Returns how many."""
    number = strays = size = 0
    for number, difference in enumerate(compare(storage, now), 1):
        if number <= LOGGED:
            log.warning("storage.differs", key=difference.key, problem=difference.problem)
        strays += difference.size is not None
        size += difference.size or 0
    log.info("storage.compared", missing=number - strays, strays=strays, stray_bytes=size)
    return number


def _known(
    session: TenantSession, page: Sequence[Stored], met: "Counter[tuple[str, str]]", now: datetime
) -> set[str]:
    """The keys of the page that rows know; ``met`` counts those that rows need."""
    keys = [found.key for found in page]
    org_ids = {org_id for key in keys for org_id in key.removeprefix(INCOMING).split("/")[1:2]}
    known = set[str]()
    for need in NEEDS:
        if mine := [key for key in keys if key.startswith(f"{need.prefix}/")]:
            rows = session.execute(
                select(need.org_id, need.key, need.since).where(
                    need.org_id.in_(org_ids), need.key.in_(mine), need.there
                )
            )
            for org_id, key, since in rows:
                known.add(key)
                met[need.prefix, org_id] += since <= now - SETTLED
    return known if known.issuperset(keys) else known | _expected(session, keys, org_ids)


def _expected(session: TenantSession, keys: Sequence[str], org_ids: set[str]) -> set[str]:
    """What is on its way, or on its way out: of uploads, renditions and exports in work, and what
    was discarded."""
    names = [key.removeprefix(INCOMING) for key in keys]
    thumbnails = [PurePosixPath(key).stem for key in keys if key.startswith("thumbnails/")]
    uploads = select(Upload).where(
        Upload.org_id.in_(org_ids), or_(Upload.storage_key.in_(names), Upload.id.in_(thumbnails))
    )
    exports = select(Export).where(
        Export.org_id.in_(org_ids), Export.status.in_(export_jobs.UNFINISHED)
    )
    known = {key for upload in session.scalars(uploads) for key in ingest.objects(upload)}
    known |= {export_jobs.zip_key(export, export.attempt) for export in session.scalars(exports)}
    for column in (Rendition.storage_key, DiscardedObject.storage_key):
        known.update(
            session.scalars(
                select(column).where(column.class_.org_id.in_(org_ids), column.in_(keys))
            )
        )
    return known


def _incomplete(need: Need, met: "Counter[tuple[str, str]]", now: datetime) -> list[str]:
    """The organizations of which fewer objects were met than their rows need."""
    with transaction() as session, unscoped(session, "compare storage"):
        needed = session.execute(
            select(need.org_id, func.count()).where(need.settled(now)).group_by(need.org_id)
        )
        return [org_id for org_id, count in needed if count > met[need.prefix, org_id]]


def _missing(
    storage: Storage, need: Need, org_id: str, now: datetime
) -> Iterator[StorageDifference]:
    rows = (
        select(need.key)
        .where(need.org_id == org_id, need.settled(now))
        .order_by(need.key)
        .limit(PAGE)
    )
    last = ""
    while keys := _page(rows.where(need.key > last)):
        for key in keys:
            # Looked for once more, since both may have gone meanwhile.
            if storage.size(key) is None and _page(rows.where(need.key == key)):
                yield StorageDifference(key, None)
        last = keys[-1]


def _page(rows: Select[Any]) -> list[str]:
    with transaction() as session, unscoped(session, "compare storage"):
        return list(session.scalars(rows))
