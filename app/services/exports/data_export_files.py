"""The files of a data export: JSON files of all rows, and the originals of all images and videos.

Rows are written to a temporary file each, because a ZIP's entry begins with its size and its
checksum; originals are fetched one by one. So memory does not grow with the organization.
"""

import json
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from app.extensions import transaction
from app.models import Asset, AssetFields, Mode, TrashedAsset
from app.services.exports import zip_stream
from app.services.exports.data_export_sheets import OF_A_MODE, OF_THE_ORGANIZATION, Sheet
from app.services.exports.zip_stream import Entry
from app.services.filenames import Names, clean_name
from app.services.library import trash
from app.services.library.images import ImageFile
from app.services.processing_context import ProcessingContext

BATCH_SIZE = 500
FOLDERS: dict[str, Select[Any]] = {
    "originals": select(Asset),
    "trash": select(TrashedAsset).where(trash.IS_THERE),
}
"""Folder → the assets whose files it holds."""
README = """\
Everything that the organization has at Lightwell.

*.json           the organization, its members, keys (never the secret ones), settings and usage
live/, test/     what live keys and people made, and what test keys made:
  *.json           assets with their tags, collections, presets, exports, what is in the trash
  originals/       the files as they were uploaded; each name begins with the asset's id
  trash/           the files of what is in the trash
missing.json     files that could not be read, if there were any

Times are in UTC (ISO 8601), sizes in bytes.
"""


@dataclass
class Progress:
    """The progress of a data export, in files."""

    processed: int = 0
    total: int = 0


@dataclass(frozen=True)
class _Writing:
    """An export that is being written. ``missing`` names the originals that storage lacks."""

    org_id: str
    context: ProcessingContext
    progress: Progress
    folder: Path
    missing: list[dict[str, str]] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        for entry in self._files():
            yield entry
            self.progress.processed += 1
        if self.missing:
            content = json.dumps(self.missing, indent=2, ensure_ascii=False).encode()
            yield Entry.of_bytes("missing.json", self.context.clock(), content)

    def _files(self) -> Iterator[Entry]:
        yield Entry.of_bytes("README.txt", self.context.clock(), README.encode())
        for sheet in OF_THE_ORGANIZATION:
            yield self._rows(sheet, f"{sheet.name}.json", None)
        for mode in Mode:
            for sheet in OF_A_MODE:
                yield self._rows(sheet, f"{mode}/{sheet.name}.json", mode)
        for mode in Mode:
            for folder, rows in FOLDERS.items():
                for asset in self._assets(mode, rows):
                    if entry := self._original(asset, mode, folder):
                        yield entry

    def _rows(self, sheet: Sheet, name: str, mode: Mode | None) -> Entry:
        """A JSON file of rows, read in one transaction."""
        path, crc32, separator = self.folder / "rows", 0, "[\n"
        with path.open("wb") as file, transaction(self.org_id, mode) as session:
            for row in session.execute(
                sheet.select(self.org_id), execution_options={"yield_per": BATCH_SIZE}
            ).mappings():
                line = f"{separator}{_json(dict(row))}".encode()
                crc32, separator = zlib.crc32(line, crc32), ",\n"
                file.write(line)
            end = b"\n]\n" if separator == ",\n" else b"[]\n"
            crc32 = zlib.crc32(end, crc32)
            file.write(end)
            size = file.tell()
        return Entry(name, self.context.clock(), size, crc32, zip_stream.consumed(path))

    def _assets(self, mode: Mode, rows: Select[Any]) -> Iterator[AssetFields]:
        """The assets of a mode, in batches with a transaction each."""
        asset_id, last = rows.selected_columns.id, ""
        while True:
            with transaction(self.org_id, mode) as session:
                batch = session.scalars(
                    rows.where(asset_id > last).order_by(asset_id).limit(BATCH_SIZE)
                ).all()
            if not batch:
                return
            yield from batch
            last = batch[-1].id

    def _original(self, asset: AssetFields, mode: Mode, folder: str) -> Entry | None:
        """The original's entry, or None if storage does not have it."""
        path = self.folder / "original"
        try:
            self.context.storage.fetch(asset.storage_key, path)
        except FileNotFoundError:
            self.missing.append({"id": asset.id, "name": asset.original_name, "mode": mode})
            return None
        extension = ImageFile.of(asset).extension
        stem = clean_name(asset.original_name).removesuffix(f".{extension}")
        name = Names().unique(f"{asset.id} {stem}", extension)
        size, crc32 = zip_stream.measured(path)
        return Entry(
            f"{mode}/{folder}/{name}", asset.uploaded_at, size, crc32, zip_stream.consumed(path)
        )


def zip_of(
    org_id: str, context: ProcessingContext, progress: Progress
) -> Generator[bytes, None, None]:
    """Yield the bytes of the ZIP. A ZIP that ends is complete: on a failure the generator
    raises."""
    progress.total = 1 + len(OF_THE_ORGANIZATION)
    for mode in Mode:
        with transaction(org_id, mode) as session:
            originals = [session.scalar(_count(rows)) or 0 for rows in FOLDERS.values()]
        progress.total += len(OF_A_MODE) + sum(originals)
    with context.folder() as folder:
        writing = _Writing(org_id, context, progress, folder)
        yield from zip_stream.stream(writing.entries())


def _count(rows: Select[Any]) -> Select[int]:
    return select(func.count()).select_from(rows.subquery())


def _json(row: dict[str, Any]) -> str:
    return json.dumps(
        {_camel_case(name): value for name, value in row.items()},
        ensure_ascii=False,
        default=_plain,
    )


def _plain(value: date | datetime) -> str:
    return value.isoformat()


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
