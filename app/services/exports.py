"""Exports: many assets, transformed, in one ZIP.

``archive_of`` is the ZIP itself, streamed while its images are rendered on all cores; a synchronous
export sends it to the client, a batch export (``services/export_worker``) to storage.
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
from app.services import archive, assets, rendition_shelf, renditions, usage
from app.services.names import Names
from app.services.principal import Principal
from app.services.renditions import Original, Wanted
from app.services.workshop import Workshop
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
        # No export has operations, and who asks for it decides whether it is stamped.
        del values["transform"]["operations"], values["transform"]["stamp"]
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
class Item:
    """An asset as an export needs it, or one that is gone: then without an original."""

    asset_id: str
    name: str
    original: Original | None = None
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
        rendition_shelf.missing(session, principal, part, config.transform)
        for part in assets.parts(asset_ids)
    )
    usage.check(session, principal, needed, now)


def archive_of(
    principal: Principal,
    asset_ids: Sequence[str],
    config: Config,
    shop: Workshop,
    progress: Progress,
) -> Generator[bytes, None, None]:
    """The ZIP's bytes: the assets in the order given, then ``errors.json`` with those that failed,
    if any did.

    A ZIP that ends has everything in it: where the server itself fails, the generator raises.
    Closing it stops the work.
    """
    with shop.folder() as folder:
        items = _items(principal, asset_ids, config)
        with _in_order(principal, items, config, folder, shop) as outcomes:
            yield from archive.stream(_entries(outcomes, progress, shop.clock()))


def _items(principal: Principal, asset_ids: Sequence[str], config: Config) -> Iterator[Item]:
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


def _item(asset_id: str, asset: Asset | None, config: Config) -> Item:
    if asset is None:
        return Item(asset_id, asset_id)
    name = asset.name if config.by_name else asset.original_name
    return Item(asset_id, name, Original.of(asset), asset.media_type == MediaType.VIDEO)


@contextmanager
def _in_order(
    principal: Principal, items: Iterable[Item], config: Config, folder: Path, shop: Workshop
) -> Iterator[Iterator[tuple[Item, Rendered | AppError]]]:
    """What became of each item, in order, while the following ones are worked on."""
    at_once = shop.imaging.processes * PER_PROCESS
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="export")
    waiting: deque[tuple[Item, Future[Rendered | AppError]]] = deque()

    def outcomes() -> Iterator[tuple[Item, Rendered | AppError]]:
        for number, item in enumerate(items):
            work = partial(_render, principal, item, config.transform, folder / str(number), shop)
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
    waiting: "deque[tuple[Item, Future[Rendered | AppError]]]",
) -> tuple[Item, Rendered | AppError]:
    item, future = waiting.popleft()
    return item, future.result()


def _render(
    principal: Principal, item: Item, transform: Transform, path: Path, shop: Workshop
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
            found = renditions.render(wanted, path, shop)
            with suppress(FileNotFoundError):
                if found.cached:
                    shop.storage.fetch(found.storage_key, path)
                return Rendered(path, found.format, found.size, found.crc32)
    except AppError as error:
        if error.status >= 500:
            raise
        return error
    return Unprocessable("The rendition is missing in storage.")


def _entries(
    outcomes: Iterable[tuple[Item, Rendered | AppError]], progress: Progress, now: datetime
) -> Iterator[archive.Entry]:
    names = Names(reserved=(ERRORS,))
    for item, outcome in outcomes:
        if isinstance(outcome, Rendered):
            name = names.unique(item.name, outcome.format.extension)
            yield archive.Entry(name, now, outcome.size, outcome.crc32, _consumed(outcome.path))
        else:
            progress.failures.append(
                {"assetId": item.asset_id, "name": item.name, "error": outcome.message}
            )
        progress.processed += 1
    if progress.failures:
        content = json.dumps(progress.failures, indent=2, ensure_ascii=False).encode()
        yield archive.Entry.of_bytes(ERRORS, now, content)


def _consumed(path: Path) -> Iterator[bytes]:
    """A file's bytes; it is gone after the last of them."""
    with path.open("rb") as file:
        path.unlink()
        yield from archive.chunks_of(file)
