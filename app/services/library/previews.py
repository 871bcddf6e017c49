"""Small pictures of originals and of what operations would make of them, for pages. None is counted
or stored in the library.

The small version of an original is kept on the local disk, in a folder by organization and content,
until nobody has used it for an hour (``services/sweep``) or there are too many.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import NotFound
from app.imaging import Format, Preview, Transform
from app.imaging.chain import small_chain, wanted_side
from app.imaging.formats import Source
from app.imaging.geometry import fit
from app.models import Asset
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.processing_context import ProcessingContext

SIDE = 1600
"""Pixels along the longer side."""
ANY = Format.PNG
"""A final format that loses nothing, so that previews are written as is quickest."""
PREFIX = "preview-"
MAX_BYTES = 2048 * MEGABYTE
"""What all small versions together may take on the disk of one machine."""
LARGE_SIDE, ON_THE_WAY = 4800, 2400
"""Of a second version, for what is cropped so much that the first would be blurred; and of what is
turned or blurred before such a crop."""
PLAIN, LARGE, MARKED = "plain", "large", "marked"
"""Names of the files in a folder. Only the last has the watermark of test data."""


@dataclass(frozen=True)
class Shown:
    """A preview as bytes; ``width`` and ``height`` are those of what it shows, in its true size."""

    content: bytes
    media_type: str
    width: int
    height: int


def view_of(principal: Principal, asset: Asset, context: ProcessingContext) -> Path:
    """A file with the picture upright in sRGB, at most 1600 pixels a side, that any browser shows:
    JPEG, or WebP where it is transparent. Of test data it has the watermark.

    Raises NotFound if the file was deleted meanwhile, ImagingError, Overloaded.
    """
    if principal.is_live:
        return small_version(principal, asset, context)
    path = _folder(principal, asset, context) / MARKED
    if not _use(path):
        order = Preview(SIDE, format=ANY, watermarked_for_test=True)
        _make(principal, small_version(principal, asset, context), path, order, context)
    return path


def media_type(path: Path) -> str:
    """Of a file that ``view_of`` gave."""
    with path.open("rb") as file:
        return "image/webp" if file.read(4) == b"RIFF" else "image/jpeg"


def preview(
    principal: Principal,
    asset: Asset,
    layers: Mapping[str, Asset],
    wanted: Transform,
    side: int,
    context: ProcessingContext,
) -> Shown:
    """What ``wanted`` would make of an image and the ``layers`` of its watermarks, by the same
    steps, at most ``side`` pixels a side. It has been checked that the operations fit.

    Raises as ``view_of``.
    """
    whole = (asset.width, asset.height)
    wants_more = wanted_side(wanted.operations, whole, side)
    most = LARGE_SIDE if wants_more > SIDE else SIDE
    source = small_version(principal, asset, context, most)
    files = {name: small_version(principal, layer, context) for name, layer in layers.items()}
    sizes = {name: (layer.width, layer.height) for name, layer in layers.items()}
    small = fit(*whole, most, most)
    on_the_way = min(wants_more, ON_THE_WAY)
    chain = small_chain(wanted.operations, whole, small, side, sizes, on_the_way)
    order = Preview(
        # Not the fitted size: a first crop is cheaper than to fit everything.
        LARGE_SIDE,
        chain.operations,
        wanted.format,
        wanted.quality,
        Source(asset.kind),
        files,
        watermarked_for_test=not principal.is_live,
    )
    with context.folder() as folder:
        target = folder / "shown"
        work = context.imaging.preview(source, target, order, principal.org_id)
        made = context.outcome(work)
        return Shown(target.read_bytes(), made.format.mime, chain.width, chain.height)


def small_version(
    principal: Principal, asset: Asset, context: ProcessingContext, side: int = SIDE
) -> Path:
    """The same without a watermark, which no page may show of test data, of at most ``side``
    pixels: ``SIDE`` or ``LARGE_SIDE``. Raises as ``view_of``."""
    path = _folder(principal, asset, context) / (PLAIN if side == SIDE else LARGE)
    if not _use(path):
        with context.folder() as folder:
            source = folder / "original"
            try:
                context.storage.fetch(asset.storage_key, source)
            except FileNotFoundError:
                raise NotFound(f"Image '{asset.id}' was deleted.") from None
            _make(principal, source, path, Preview(side, format=ANY), context)
    return path


def _make(
    principal: Principal, source: Path, path: Path, order: Preview, context: ProcessingContext
) -> None:
    """Write a small version aside and move it to its place: others may be making the same one."""
    with context.folder() as folder:
        made = folder / path.name
        context.outcome(context.imaging.preview(source, made, order, principal.org_id))
        path.parent.mkdir(exist_ok=True)
        made.replace(path)
    _make_room(context.spool_dir, MAX_BYTES)


def _folder(principal: Principal, asset: Asset, context: ProcessingContext) -> Path:
    """By organization, so that nobody can tell whether others have the same picture."""
    return context.spool_dir / f"{PREFIX}{principal.org_id}-{asset.content}"


def _use(path: Path) -> bool:
    """Whether the file is there. Its folder then counts as written just now."""
    with suppress(FileNotFoundError):
        os.utime(path)
        os.utime(path.parent)
        return True
    return False


def _make_room(spool_dir: Path, most: int) -> None:
    """Remove the folders that were unused the longest, until the rest takes at most ``most``
    bytes."""
    found: list[tuple[float, int, Path]] = []
    for folder in spool_dir.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # removed just now
            size = sum(file.stat().st_size for file in folder.iterdir())
            found.append((folder.stat().st_mtime, size, folder))
    total = sum(size for _, size, _ in found)
    for _, size, folder in sorted(found):
        if total <= most:
            return
        shutil.rmtree(folder, ignore_errors=True)
        total -= size
