"""Exports: many assets, transformed, in one ZIP.

``zip_of`` streams the ZIP while its images are rendered on all cores. A synchronous export sends it
to the client, a batch export (``services/exports/export_worker``) to storage.
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
from app.services.accounts.principal import Principal
from app.services.exports import zip_stream
from app.services.filenames import Names
from app.services.library import assets, kept_renditions, renditions
from app.services.library.renditions import RenditionRequest, RenditionSource
from app.services.processing_context import ProcessingContext
from app.services.usage import limits
from app.tenancy import TenantSession

PER_PROCESS = 2
"""Images that an export works on at once for each imaging process: one is rendered while another is
fetched or stored."""
AHEAD = 4
"""Images, as a multiple of those that are worked on at once, that may wait for an earlier one to
finish."""
ERRORS = "errors.json"
FAILURES = "failures"
"""Where the ``config`` of a finished batch export holds its first failures, which pages show also
when the ZIP with ``errors.json`` is gone."""
MAX_FAILURES = 100


@dataclass(frozen=True)
class Config:
    """How the assets of an export are transformed and named. If ``by_name`` is False, they get
    their original names. ``preset_id`` is of the preset that the transformation came from, if it
    was chosen by one."""

    transform: Transform
    by_name: bool = False
    preset_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        # Exports have no operations, and the principal decides about the watermark.
        del values["transform"]["operations"], values["transform"]["watermarked_for_test"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Config":
        transform = values["transform"]
        chosen = Format(transform["format"]) if transform["format"] else None
        return cls(
            Transform(**{**transform, "format": chosen}),
            values["by_name"],
            values.get("preset_id"),
        )


@dataclass
class Progress:
    """The progress of an export."""

    processed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ExportItem:
    """An asset of an export. ``original`` is None if the asset was deleted."""

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
    """Check an export before it begins. Raises NotFound naming unknown assets, QuotaExceeded, or
    RateLimited for a test key."""
    if gone := assets.unknown(session, asset_ids):
        raise NotFound(
            f"{len(gone)} of the assets do not exist in this workspace: {', '.join(gone[:10])}.",
            errors=[f"assetIds: '{asset_id}' does not exist" for asset_id in gone[:100]],
        )
    needed = count_missing(session, principal, asset_ids, config.transform)
    limits.check(session, principal, needed, now)


def count_missing(
    session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform
) -> int:
    """How many images an export has to render, each content once; the others are there already."""
    contents: set[str] = set()
    for part in assets.batches(asset_ids):
        contents |= kept_renditions.missing(session, principal, part, transform)
    return len(contents)


def zip_of(
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    context: ProcessingContext,
    progress: Progress,
) -> Generator[bytes, None, None]:
    """Yield the ZIP's bytes: the assets in the order given, then ``errors.json`` with the failed
    ones, if any.

    A ZIP that ends is complete: on a failure of the server the generator raises. Closing the
    generator stops the work.
    """
    with context.folder() as folder:
        items = _items(principal, asset_ids, config)
        with _in_order(principal, items, config, folder, context) as outcomes:
            yield from zip_stream.stream(_entries(outcomes, progress, context.clock()))


def _items(principal: Principal, asset_ids: Sequence[str], config: Config) -> Iterator[ExportItem]:
    """Yield the assets as they are when their turn comes; some may have been deleted since the
    export was requested."""
    for part in assets.batches(asset_ids):
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
    """The outcome of each item, in order, while the following items are worked on."""
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
    """Render an item to ``path``, or return the reason why it failed. Raises errors that are the
    server's fault."""
    if item.original is None:
        return NotFound("The asset was deleted.")
    if item.is_video:
        return BadRequest("Videos can't be exported as images.")
    wanted = RenditionRequest(principal, item.original, transform)
    try:
        # A second attempt, because the rendition may be removed to make room after its row was read
        # and before its file is fetched.
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
            yield zip_stream.Entry(
                name, now, outcome.size, outcome.crc32, zip_stream.consumed(outcome.path)
            )
        else:
            progress.failures.append(
                {"assetId": item.asset_id, "name": item.name, "error": outcome.message}
            )
        progress.processed += 1
    if progress.failures:
        content = json.dumps(progress.failures, indent=2, ensure_ascii=False).encode()
        yield zip_stream.Entry.of_bytes(ERRORS, now, content)
