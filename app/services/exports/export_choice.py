"""Which images a batch export from a page holds: those that somebody chose one by one, or all that
a list shows. Videos are left out, since exports make images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.errors import BadRequest
from app.models import Asset, Export, MediaType
from app.services.exports.export_jobs import MAX_ASSETS
from app.services.library import assets, listing
from app.services.library.listing import Filter, Sort
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Choice:
    """``images`` are ids in their order. ``videos`` are left out; ``gone`` were deleted since they
    were chosen."""

    images: list[str]
    videos: int = 0
    gone: int = 0


def of_ids(session: TenantSession, ids: Sequence[str]) -> Choice:
    """Those of ``ids`` that are there, each once. Raises BadRequest."""
    ids = list(dict.fromkeys(ids))
    _check_number(len(ids))
    kinds: dict[str, str] = {}
    for part in assets.batches(ids):
        kinds |= dict(
            session.execute(select(Asset.id, Asset.media_type).where(Asset.id.in_(part))).all()
        )
    images = [one for one in ids if kinds.get(one) == MediaType.IMAGE]
    return Choice(images, videos=len(kinds) - len(images), gone=len(ids) - len(kinds))


def of_list(session: TenantSession, chosen: Filter, sort: Sort) -> Choice:
    """All that a list shows. Raises BadRequest if that is too much for one export."""
    if chosen.media_type is MediaType.VIDEO:
        return Choice([], videos=listing.count(session, chosen))
    images = listing.ids_of(
        session, replace(chosen, media_type=MediaType.IMAGE), sort, MAX_ASSETS + 1
    )
    _check_number(len(images))
    if chosen.media_type is MediaType.IMAGE:
        return Choice(images)
    videos = replace(chosen, media_type=MediaType.VIDEO)
    return Choice(images, videos=listing.count(session, videos))


def of_export(session: TenantSession, export_id: str) -> list[str]:
    """The ids that an earlier export was asked for; none if there is no such export."""
    wanted = select(Export).where(Export.id == export_id).options(undefer(Export.asset_ids))
    export = session.scalar(wanted)
    return export.asset_ids if export else []


def _check_number(number: int) -> None:
    if number > MAX_ASSETS:
        raise BadRequest(
            f"An export holds at most {MAX_ASSETS:,} images. Narrow the search, or export one "
            "collection after the other."
        )
