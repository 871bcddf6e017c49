"""Renditions: transformed copies of originals, made once and kept.

Whoever inserts a rendition's row renders it; the others wait for it, across all processes. A claim has a lease, so that
a renderer that died holds nobody up for long. The row becomes ready and the image is counted in one transaction.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from app.errors import NotFound, Overloaded, Unprocessable
from app.extensions import transaction
from app.imaging import Format, Picture, Transform
from app.models import Asset, MediaType, Rendition, new_id
from app.services import space, usage
from app.services.archive import crc32_of
from app.services.principal import Principal
from app.services.usage import Reservation
from app.services.workshop import Workshop
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(seconds=10)
KEPT = timedelta(days=30)
"""A rendition that nobody asked for so long is forgotten; it can be made again."""
TOUCHED = timedelta(days=1)
"""How exactly it is known when a rendition was last asked for."""
ORPHANED = timedelta(hours=1)
"""When a claim's holder surely is dead and nobody has taken it over."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150


@dataclass(frozen=True)
class Original:
    """What is rendered: an asset's content and where it lies."""

    asset_id: str
    content: str
    storage_key: str

    @classmethod
    def of(cls, asset: Asset) -> "Original":
        return cls(asset.id, asset.content, asset.storage_key)


@dataclass(frozen=True)
class Claim:
    """The right and duty to render: a row's id, this claim's own token and key, and the image set aside for it."""

    rendition_id: str
    token: str
    storage_key: str
    reservation: Reservation


@dataclass(frozen=True)
class Found:
    """A rendition that is there. ``cached`` False: it was rendered just now, and its file is where it was asked for."""

    storage_key: str
    format: Format
    size: int
    crc32: int
    cached: bool


def render(principal: Principal, original: Original, transform: Transform, target: Path, shop: Workshop) -> Found:
    """The rendition of an original, from the cache or made now; then its file is at ``target``, too.

    A test key's is stamped.

    Raises QuotaExceeded, ImagingError, Unprocessable where the original's object is missing, NotFound where the asset
    was deleted meanwhile, Overloaded. Nothing is counted then.
    """
    transform = principal.marked(transform)
    deadline = time.monotonic() + (PATIENCE_SECONDS if shop.patience is None else shop.patience)
    while True:
        with transaction(*principal.partition) as session:
            got = _find_or_claim(session, principal, original, transform, shop.clock())
        if isinstance(got, Found):
            return got
        if got and (found := _make(principal, got, original, transform, target, shop)):
            return found
        if time.monotonic() >= deadline:
            raise Overloaded("The server is busy; this image is still being made. Ask for it again.", retry_after=5)
        if got is None:
            time.sleep(POLL_SECONDS)


def find(principal: Principal, original: Original, transform: Transform, now: datetime) -> Found | None:
    """The rendition, where it is there already: that takes no work, and so no turn."""
    with transaction(*principal.partition) as session:
        return _ready(_row(session, original, principal.marked(transform)), now)


def missing(session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform) -> int:
    """How many images an export of these assets has to render: contents without a rendition that is ready."""
    recipe = principal.marked(transform).canonical()
    ready = select(Rendition.id).where(Rendition.content == Asset.content, Rendition.recipe == recipe, Rendition.ready)
    return (
        session.scalar(
            select(func.count(Asset.content.distinct())).where(
                Asset.id.in_(asset_ids), Asset.media_type == MediaType.IMAGE, ~ready.exists()
            )
        )
        or 0
    )


def remove_all(session: TenantSession, content: str) -> None:
    """Forget a content's renditions, those that are being made among them."""
    _forget(session, Rendition.content == content)


def release_expired(session: TenantSession, now: datetime) -> int:
    """Forget what nobody asks for, and claims whose holder died. Returns how many."""
    return _forget(session, _expired(now))


def partitions_with_expired(session: TenantSession, now: datetime) -> set[tuple[str, str]]:
    """Where a sweep has something to do, as (org, mode); ``session`` must be unscoped."""
    rows = session.execute(select(Rendition.org_id, Rendition.mode).where(_expired(now)).distinct())
    return {(row.org_id, row.mode) for row in rows}


def _expired(now: datetime) -> ColumnElement[bool]:
    unused = and_(Rendition.ready.is_(True), Rendition.used_at <= now - KEPT)
    orphaned = and_(Rendition.ready.is_(False), Rendition.used_at <= now - ORPHANED)
    return or_(unused, orphaned)


def _forget(session: TenantSession, condition: ColumnElement[bool]) -> int:
    gone = delete(Rendition).where(condition).returning(Rendition.storage_key)
    keys = session.scalars(gone, execution_options={"synchronize_session": False}).all()
    space.discard(session, keys)
    return len(keys)


def _find_or_claim(
    session: TenantSession, principal: Principal, original: Original, transform: Transform, now: datetime
) -> Found | Claim | None:
    """The rendition, or the right to make it; None while somebody else makes it. Raises NotFound, QuotaExceeded."""
    row = _row(session, original, transform)
    if found := _ready(row, now):
        return found
    if row is not None and row.lease_until > now:
        return None
    if session.scalar(select(Asset.id).where(Asset.id == original.asset_id)) is None:
        raise NotFound(f"Asset '{original.asset_id}' does not exist in this workspace.")
    rendition_id, token = row.id if row else new_id("rend", now), new_id("claim", now)
    key = f"renditions/{principal.org_id}/{token}"
    claim = {"claim": token, "lease_until": now + LEASE, "storage_key": key, "used_at": now}
    if row is None:
        wanted = _wanted(original, transform)
        mine = insert_if_absent(session, Rendition, id=rendition_id, ready=False, created_at=now, **wanted, **claim)
    else:
        mine = bool(session.change(update(Rendition).where(_held(row.id, row.claim)).values(**claim)))
    if not mine:
        return None
    if row is not None:
        space.discard(session, [row.storage_key])
    return Claim(rendition_id, token, key, usage.reserve(session, principal, "rendition", 1, now))


def _wanted(original: Original, transform: Transform) -> dict[str, str]:
    return {"content": original.content, "recipe": transform.canonical()}


def _row(session: TenantSession, original: Original, transform: Transform) -> Rendition | None:
    return session.scalar(select(Rendition).filter_by(**_wanted(original, transform)))


def _ready(row: Rendition | None, now: datetime) -> Found | None:
    """A rendition that is there; that somebody asked for it is noted."""
    if row is None or not row.format:
        return None
    if row.used_at <= now - TOUCHED:
        row.used_at = now
    return Found(row.storage_key, Format(row.format), row.size or 0, row.crc32 or 0, cached=True)


def _held(rendition_id: str, token: str) -> ColumnElement[bool]:
    """Whether a claim still is the one that counts."""
    return and_(Rendition.id == rendition_id, Rendition.claim == token, Rendition.ready.is_(False))


def _make(
    principal: Principal, claim: Claim, original: Original, transform: Transform, target: Path, shop: Workshop
) -> Found | None:
    """Render, store, count. None where the claim was lost: somebody else does it, or the asset was deleted."""
    try:
        picture = _draw(principal, claim, original, transform, target, shop)
        shop.storage.put_file(claim.storage_key, target, picture.format.mime)
        found = Found(claim.storage_key, picture.format, picture.size, crc32_of(target), cached=False)
        kept = _keep(principal, claim, picture, found, shop.clock())
    except BaseException:
        _give_up(principal, claim)
        raise
    if kept:
        return found
    _give_up(principal, claim)
    return None


def _draw(
    principal: Principal, claim: Claim, original: Original, transform: Transform, target: Path, shop: Workshop
) -> Picture:
    """The picture in ``target``; the claim is renewed while it waits for its turn and is worked on."""
    with shop.folder() as folder:
        source = folder / "original"
        try:
            shop.storage.fetch(original.storage_key, source)
        except FileNotFoundError:
            raise Unprocessable(
                "The asset's file is missing in storage: delete the asset and upload it again."
            ) from None
        work = shop.imaging.submit(source, target, transform, principal.org_id)
        return shop.outcome(work, partial(_renew, principal, claim, shop))


def _renew(principal: Principal, claim: Claim, shop: Workshop) -> None:
    with transaction(*principal.partition) as session:
        mine = _held(claim.rendition_id, claim.token)
        session.change(update(Rendition).where(mine).values(lease_until=shop.clock() + LEASE))


def _keep(principal: Principal, claim: Claim, picture: Picture, found: Found, now: datetime) -> bool:
    """Make the rendition known and count it, at once. False where the claim was lost."""
    with transaction(*principal.partition) as session:
        kept = session.change(
            update(Rendition)
            .where(_held(claim.rendition_id, claim.token))
            .values(
                ready=True,
                format=picture.format,
                width=picture.width,
                height=picture.height,
                size=picture.size,
                crc32=found.crc32,
                used_at=now,
            )
        )
        if kept:
            usage.settle(session, claim.reservation, 1)
        return bool(kept)


def _give_up(principal: Principal, claim: Claim) -> None:
    with transaction(*principal.partition) as session:
        usage.release(session, claim.reservation)
        session.change(delete(Rendition).where(_held(claim.rendition_id, claim.token)))
        space.discard(session, [claim.storage_key])
