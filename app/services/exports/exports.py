"""Exports: many assets, transformed, in one ZIP.

``zip_of`` is the ZIP itself, streamed while its images are rendered on all cores; a synchronous
export sends it to the client, a batch export (``services/exports/export_worker``) to storage.
"""

import json
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.errors import AppError, BadRequest, NotFound, Unprocessable
from app.extensions import transaction
from app.imaging import Format, Transform
from app.models import Asset, MediaType
from app.services import usage
from app.services.accounts.principal import Principal
from app.services.exports import zip_stream
from app.services.filenames import Names
from app.services.library import assets, kept_renditions, renditions
from app.services.library.renditions import RenditionSource, Wanted
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession

PER_PROCESS = 2
"""Images that an export has in work for each imaging process: one that is drawn, one that comes or
goes."""
AHEAD = 4
"""Finished images, as a multiple of those in work, that may wait for one before them."""
ERRORS = "errors.json"


@dataclass(frozen=True)
class Config:
    """How the assets of an export are transformed and named; ``by_name`` False takes their original
    names."""

    transform: Transform
    by_name: bool = False

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        # No export has operations, and who asks for it decides whether it gets a watermark.
        del values["transform"]["operations"], values["transform"]["watermarked_for_test"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Config":
        transform = values["transform"]
        chosen = Format(transform["format"]) if transform["format"] else None
        return cls(Transform(**{**transform, "format": chosen}), values["by_name"])


@dataclass
class Progress:
    """How far an export is, for whoever looks on."""

    processed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ExportItem:
    """An asset as an export needs it, or one that is gone: then without an original."""

    asset_id: str
    name: str
    original: RenditionSource | None = None
    is_video: bool = False


@dataclass(frozen=True)
class Rendered:
    path: Path
    format: Format
    size: int
    crc32: int


def check(
    session: TenantSession,
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    now: datetime,
) -> None:
    """Refuse what can't be done before it begins: NotFound naming unknown assets, QuotaExceeded."""
    if gone := assets.unknown(session, asset_ids):
        raise NotFound(
            f"{len(gone)} of the assets do not exist in this workspace: {', '.join(gone[:10])}.",
            errors=[f"assetIds: '{asset_id}' does not exist" for asset_id in gone[:100]],
        )
    needed = sum(
        kept_renditions.missing(session, principal, part, config.transform)
        for part in assets.parts(asset_ids)
    )
    usage.check(session, principal, needed, now)


def zip_of(
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    context: ProcessingContext,
    progress: Progress,
) -> Generator[bytes, None, None]:
    """The ZIP's bytes: the assets in the order given, then ``errors.json`` with those that failed,
    if any did.

    A ZIP that ends has everything in it: where the server itself fails, the generator raises.
    Closing it stops the work.
    """
    with context.folder() as folder:
        items = _items(principal, asset_ids, config)
        with _in_order(principal, items, config, folder, context) as outcomes:
            yield from zip_stream.stream(_entries(outcomes, progress, context.clock()))


def _items(principal: Principal, asset_ids: Sequence[str], config: Config) -> Iterator[ExportItem]:
    """The assets as they are when their turn comes; some may have been deleted since the export was
    asked for."""
    for part in assets.parts(asset_ids):
        with transaction(*principal.partition) as session:
            rows = {
                asset.id: asset
                for asset in session.scalars(select(Asset).where(Asset.id.in_(part)))
            }
        for asset_id in part:
            yield _item(asset_id, rows.get(asset_id), config)


def _item(asset_id: str, asset: Asset | None, config: Config) -> ExportItem:
    if asset is None:
        return ExportItem(asset_id, asset_id)
    name = asset.name if config.by_name else asset.original_name
    return ExportItem(
        asset_id, name, RenditionSource.of(asset), asset.media_type == MediaType.VIDEO
    )


@contextmanager
def _in_order(
    principal: Principal,
    items: Iterable[ExportItem],
    config: Config,
    folder: Path,
    context: ProcessingContext,
) -> Iterator[Iterator[tuple[ExportItem, Rendered | AppError]]]:
    """What became of each item, in order, while the following ones are worked on."""
    at_once = context.imaging.processes * PER_PROCESS
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="export")
    waiting: deque[tuple[ExportItem, Future[Rendered | AppError]]] = deque()

    def outcomes() -> Iterator[tuple[ExportItem, Rendered | AppError]]:
        for number, item in enumerate(items):
            work = partial(
                _render, principal, item, config.transform, folder / str(number), context
            )
            waiting.append((item, threads.submit(copy_context().run, work)))
            if len(waiting) >= at_once * AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)

    try:
        yield outcomes()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _next(
    waiting: "deque[tuple[ExportItem, Future[Rendered | AppError]]]",
) -> tuple[ExportItem, Rendered | AppError]:
    item, future = waiting.popleft()
    return item, future.result()


def _render(
    principal: Principal,
    item: ExportItem,
    transform: Transform,
    path: Path,
    context: ProcessingContext,
) -> Rendered | AppError:
    """An item's file at ``path``, or why there is none. What is the server's own fault is
    raised."""
    if item.original is None:
        return NotFound("The asset was deleted.")
    if item.is_video:
        return BadRequest("Videos can't be exported as images.")
    wanted = Wanted(principal, item.original, transform)
    try:
        # It may have made room for another, between the look at its row and that at its file.
        for _ in range(2):
            found = renditions.render(wanted, path, context)
            with suppress(FileNotFoundError):
                if found.cached:
                    context.storage.fetch(found.storage_key, path)
                return Rendered(path, found.format, found.size, found.crc32)
    except AppError as error:
        if error.status >= 500:
            raise
        return error
    return Unprocessable("The rendition is missing in storage.")


def _entries(
    outcomes: Iterable[tuple[ExportItem, Rendered | AppError]], progress: Progress, now: datetime
) -> Iterator[zip_stream.Entry]:
    names = Names(reserved=(ERRORS,))
    for item, outcome in outcomes:
        if isinstance(outcome, Rendered):
            name = names.unique(item.name, outcome.format.extension)
            yield zip_stream.Entry(name, now, outcome.size, outcome.crc32, _consumed(outcome.path))
        else:
            progress.failures.append(
                {"assetId": item.asset_id, "name": item.name, "error": outcome.message}
            )
        progress.processed += 1
    if progress.failures:
        content = json.dumps(progress.failures, indent=2, ensure_ascii=False).encode()
        yield zip_stream.Entry.of_bytes(ERRORS, now, content)


def _consumed(path: Path) -> Iterator[bytes]:
    """A file's bytes; it is gone after the last of them."""
    with path.open("rb") as file:
        path.unlink()
        yield from zip_stream.chunks_of(file)
