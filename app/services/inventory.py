"""Compares storage with the rows: finds objects that no row names, and rows whose object is
missing.

Rows are written before objects (docs/decisions/008), so there should be neither. Storage is listed
once, page by page, and each page is looked up by index. The listed objects that an organization's
rows name are counted; only if there are fewer than rows is each row's object looked up.
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
from app.models import (
    Asset,
    DataExport,
    DiscardedObject,
    Export,
    IdempotentRequest,
    Rendition,
    TrashedAsset,
    Upload,
)
from app.services.exports import data_exports, export_jobs
from app.services.library import ingest
from app.services.library.ingest import INCOMING
from app.tenancy import TenantSession, unscoped

log = structlog.get_logger()

MIN_AGE = timedelta(hours=1)
"""Younger rows and objects are skipped: their work may still be running."""
PAGE_SIZE = 1000
MAX_LOGGED = 100


@dataclass(frozen=True)
class ObjectReference:
    """Rows whose column ``key`` names an object. Rows for which ``there`` holds need it, from the
    time in ``since`` on."""

    prefix: str
    key: InstrumentedAttribute[Any]
    since: InstrumentedAttribute[Any]
    there: ColumnElement[bool]

    @classmethod
    def of(
        cls, prefix: str, key: InstrumentedAttribute[Any], since: InstrumentedAttribute[Any]
    ) -> "ObjectReference":
        return cls(prefix, key, since, key.is_not(None))

    @property
    def org_id(self) -> Any:
        return self.key.class_.org_id

    @property
    def name(self) -> str:
        """Tells apart references with the same prefix."""
        return str(self.key)

    def settled(self, now: datetime) -> ColumnElement[bool]:
        return and_(self.there, self.since <= now - MIN_AGE)


OBJECT_REFERENCES = (
    ObjectReference.of("orgs", Asset.storage_key, Asset.uploaded_at),
    ObjectReference.of("thumbnails", Asset.thumbnail_key, Asset.uploaded_at),
    ObjectReference.of("orgs", TrashedAsset.storage_key, TrashedAsset.uploaded_at),
    ObjectReference.of("thumbnails", TrashedAsset.thumbnail_key, TrashedAsset.uploaded_at),
    ObjectReference(
        "renditions", Rendition.storage_key, Rendition.created_at, Rendition.ready.is_(True)
    ),
    ObjectReference.of("exports", Export.storage_key, Export.finished_at),
    ObjectReference.of("data-exports", DataExport.storage_key, DataExport.created_at),
    ObjectReference.of("idempotency", IdempotentRequest.body_key, IdempotentRequest.created_at),
)


@dataclass(frozen=True)
class StorageDifference:
    """``size`` is None for a missing object, and the bytes of an object that no row names."""

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
    """All differences older than an hour. Changes during the comparison are not reported."""
    found_counts = Counter[tuple[str, str]]()
    for page in storage.pages():
        with transaction() as session, unscoped(session, "compare storage"):
            known = _known_keys(session, page, found_counts, now)
        for found in page:
            if found.key not in known and found.modified_at <= now - MIN_AGE:
                yield StorageDifference(found.key, found.size)
    for reference in OBJECT_REFERENCES:
        for org_id in _incomplete(reference, found_counts, now):
            yield from _missing(storage, reference, org_id, now)


def report(storage: Storage, now: datetime) -> int:
    """Log the differences, the first hundred with their keys. Returns how many there are."""
    number = strays = size = 0
    for number, difference in enumerate(compare(storage, now), 1):
        if number <= MAX_LOGGED:
            log.warning("storage.differs", key=difference.key, problem=difference.problem)
        strays += difference.size is not None
        size += difference.size or 0
    log.info("storage.compared", missing=number - strays, strays=strays, stray_bytes=size)
    return number


def _known_keys(
    session: TenantSession,
    page: Sequence[Stored],
    found_counts: "Counter[tuple[str, str]]",
    now: datetime,
) -> set[str]:
    """The keys of the page that rows name. ``found_counts`` is raised for each that a row needs."""
    keys = [found.key for found in page]
    org_ids = {org_id for key in keys for org_id in key.removeprefix(INCOMING).split("/")[1:2]}
    known = set[str]()
    for reference in OBJECT_REFERENCES:
        if mine := [key for key in keys if key.startswith(f"{reference.prefix}/")]:
            rows = session.execute(
                select(reference.org_id, reference.key, reference.since).where(
                    reference.org_id.in_(org_ids), reference.key.in_(mine), reference.there
                )
            )
            for org_id, key, since in rows:
                known.add(key)
                found_counts[reference.name, org_id] += since <= now - MIN_AGE
    return known if known.issuperset(keys) else known | _expected_keys(session, keys, org_ids)


def _expected_keys(session: TenantSession, keys: Sequence[str], org_ids: set[str]) -> set[str]:
    """The keys of uploads, renditions and exports that are being made, of discarded objects, and of
    assets that were restored from the trash meanwhile."""
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
    data = select(DataExport).where(
        DataExport.org_id.in_(org_ids), DataExport.status.in_(data_exports.UNFINISHED)
    )
    known |= {data_exports.zip_key(export, export.attempts) for export in session.scalars(data)}
    columns = (Rendition.storage_key, DiscardedObject.storage_key)
    for column in (*columns, Asset.storage_key, Asset.thumbnail_key):
        known.update(
            session.scalars(
                select(column).where(column.class_.org_id.in_(org_ids), column.in_(keys))
            )
        )
    return known


def _incomplete(
    reference: ObjectReference, found_counts: "Counter[tuple[str, str]]", now: datetime
) -> list[str]:
    """The organizations with fewer objects found than their rows need."""
    with transaction() as session, unscoped(session, "compare storage"):
        needed = session.execute(
            select(reference.org_id, func.count())
            .where(reference.settled(now))
            .group_by(reference.org_id)
        )
        return [org_id for org_id, count in needed if count > found_counts[reference.name, org_id]]


def _missing(
    storage: Storage, reference: ObjectReference, org_id: str, now: datetime
) -> Iterator[StorageDifference]:
    rows = (
        select(reference.key)
        .where(reference.org_id == org_id, reference.settled(now))
        .order_by(reference.key)
        .limit(PAGE_SIZE)
    )
    last = ""
    while keys := _keys(rows.where(reference.key > last)):
        for key in keys:
            # The row is read again, because row and object may both have been deleted meanwhile.
            if storage.size(key) is None and _keys(rows.where(reference.key == key)):
                yield StorageDifference(key, None)
        last = keys[-1]


def _keys(rows: Select[Any]) -> list[str]:
    with transaction() as session, unscoped(session, "compare storage"):
        return list(session.scalars(rows))
