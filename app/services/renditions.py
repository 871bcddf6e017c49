"""Renditions: transformed copies of originals, made once and kept.

Whoever inserts a rendition's row renders it; the others wait for it, across all processes. A claim
has a lease, so that a renderer that died holds nobody up for long. The row becomes ready and the
image is counted in one transaction. Those that were needed longest ago make room for new ones
(``services/kept``); a URL that is signed for one counts as need.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from app.errors import NotFound, Overloaded, QuotaExceeded, Unprocessable
from app.extensions import transaction
from app.imaging import Format, Picture, Transform
from app.models import Asset, Kept, MediaType, Rendition, new_id
from app.services import kept, space, usage
from app.services.archive import crc32_of
from app.services.principal import MEGABYTE, Principal
from app.services.usage import Reservation
from app.services.workshop import Workshop
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(seconds=10)
KEPT = timedelta(days=30)
"""A rendition that nobody asked for so long is forgotten; it can be made again."""
TOUCHED = timedelta(days=1)
"""How exactly it is known when a rendition was last asked for."""
SPARE = timedelta(minutes=10)
"""How much longer than its URL one is needed: so the next URLs of the same length change
nothing."""
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
    """The right and duty to render: a row's id, this claim's own token and key, and the image set
    aside for it."""

    rendition_id: str
    token: str
    storage_key: str
    reservation: Reservation


@dataclass(frozen=True)
class Found:
    """A rendition that is there. ``cached`` False: it was rendered just now, and its file is where
    it was asked for."""

    storage_key: str
    format: Format
    size: int
    crc32: int
    cached: bool


def render(
    principal: Principal,
    original: Original,
    transform: Transform,
    target: Path,
    shop: Workshop,
    ttl: timedelta | None = None,
) -> Found:
    """The rendition of an original, from the cache or made now; then its file is at ``target``,
    too.

    A test key's is stamped. ``ttl`` is how long a URL will lead to it; without one it may be larger
    than all that is kept, and then is made anew the next time.

    Raises QuotaExceeded, ImagingError, Unprocessable where the original's object is missing,
    NotFound where the asset was deleted meanwhile, Overloaded. Nothing is counted then.
    """
    transform = principal.marked(transform)
    deadline = time.monotonic() + (PATIENCE_SECONDS if shop.patience is None else shop.patience)
    while True:
        with transaction(*principal.partition) as session:
            got = _find_or_claim(session, principal, original, transform, shop.clock(), ttl)
        if isinstance(got, Found):
            return got
        if got and (found := _make(principal, got, original, transform, target, shop, ttl)):
            return found
        if time.monotonic() >= deadline:
            raise Overloaded(
                "The server is busy; this image is still being made. Ask for it again.",
                retry_after=5,
            )
        if got is None:
            time.sleep(POLL_SECONDS)


def find(
    principal: Principal,
    original: Original,
    transform: Transform,
    now: datetime,
    ttl: timedelta | None = None,
) -> Found | None:
    """The rendition, where it is there already: that takes no work, and so no turn. ``ttl`` as for
    ``render``."""
    with transaction(*principal.partition) as session:
        return _ready(session, _row(session, original, principal.marked(transform)), now, ttl)


def missing(
    session: TenantSession, principal: Principal, asset_ids: Sequence[str], transform: Transform
) -> int:
    """How many images an export of these assets has to render: contents without a rendition that is
    ready."""
    transform_key = principal.marked(transform).canonical()
    ready = select(Rendition.id).where(
        Rendition.content == Asset.content,
        Rendition.transform_key == transform_key,
        Rendition.ready,
    )
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
    unused = and_(Rendition.ready.is_(True), Rendition.needed_until <= now - KEPT)
    orphaned = and_(Rendition.ready.is_(False), Rendition.needed_until <= now - ORPHANED)
    return or_(unused, orphaned)


def _forget(session: TenantSession, condition: ColumnElement[bool]) -> int:
    kept.lock(session, Kept.RENDITION)
    gone = (
        delete(Rendition)
        .where(condition)
        .returning(Rendition.storage_key, Rendition.ready, Rendition.size)
    )
    rows = session.execute(gone, execution_options={"synchronize_session": False}).all()
    kept.shift(session, Kept.RENDITION, -sum(row.size or 0 for row in rows if row.ready))
    space.discard(session, [row.storage_key for row in rows])
    return len(rows)


SHELF = kept.Shelf(
    Kept.RENDITION,
    select(Rendition.id, Rendition.size)
    .where(Rendition.ready.is_(True))
    .order_by(Rendition.needed_until),
    lambda session, ids: _forget(session, Rendition.id.in_(ids)),
)


def _find_or_claim(
    session: TenantSession,
    principal: Principal,
    original: Original,
    transform: Transform,
    now: datetime,
    ttl: timedelta | None,
) -> Found | Claim | None:
    """The rendition, or the right to make it; None while somebody else makes it. Raises NotFound,
    QuotaExceeded."""
    row = _row(session, original, transform)
    if found := _ready(session, row, now, ttl):
        return found
    if row is not None and row.lease_until > now:
        return None
    if session.scalar(select(Asset.id).where(Asset.id == original.asset_id)) is None:
        raise NotFound(f"Asset '{original.asset_id}' does not exist in this workspace.")
    rendition_id, token = row.id if row else new_id("rend", now), new_id("claim", now)
    key = f"renditions/{principal.org_id}/{token}"
    claim = {"claim": token, "lease_until": now + LEASE, "storage_key": key, "needed_until": now}
    if row is None:
        wanted = _wanted(original, transform)
        mine = insert_if_absent(
            session, Rendition, id=rendition_id, ready=False, created_at=now, **wanted, **claim
        )
    else:
        mine = bool(
            session.change(update(Rendition).where(_held(row.id, row.claim)).values(**claim))
        )
    if not mine:
        return None
    if row is not None:
        space.discard(session, [row.storage_key])
    return Claim(rendition_id, token, key, usage.reserve(session, principal, "rendition", 1, now))


def _wanted(original: Original, transform: Transform) -> dict[str, str]:
    return {"content": original.content, "transform_key": transform.canonical()}


def _row(session: TenantSession, original: Original, transform: Transform) -> Rendition | None:
    return session.scalar(select(Rendition).filter_by(**_wanted(original, transform)))


def _ready(
    session: TenantSession, row: Rendition | None, now: datetime, ttl: timedelta | None
) -> Found | None:
    """A rendition that is there and stays for as long as it is needed."""
    if row is None or not row.format or not _need(session, row, now, ttl):
        return None
    return Found(row.storage_key, Format(row.format), row.size or 0, row.crc32 or 0, cached=True)


def _need(session: TenantSession, row: Rendition, now: datetime, ttl: timedelta | None) -> bool:
    """Note that a rendition is needed, now or until a URL ends. False where it was forgotten just
    now."""
    if row.needed_until > (now - TOUCHED if ttl is None else now + ttl + SPARE / 2):
        return True
    needed = now if ttl is None else now + ttl + SPARE
    ready = update(Rendition).where(Rendition.id == row.id, Rendition.ready.is_(True))
    return bool(session.change(ready.values(needed_until=needed)))


def _held(rendition_id: str, token: str) -> ColumnElement[bool]:
    """Whether a claim still is the one that counts."""
    return and_(Rendition.id == rendition_id, Rendition.claim == token, Rendition.ready.is_(False))


def _make(
    principal: Principal,
    claim: Claim,
    original: Original,
    transform: Transform,
    target: Path,
    shop: Workshop,
    ttl: timedelta | None,
) -> Found | None:
    """Render, store, count. None where the claim was lost: somebody else does it, or the asset was
    deleted."""
    try:
        picture = _draw(principal, claim, original, transform, target, shop)
        shop.storage.put_file(claim.storage_key, target, picture.format.mime)
        found = Found(
            claim.storage_key, picture.format, picture.size, crc32_of(target), cached=False
        )
        counted = _keep(principal, claim, picture, found, shop.clock(), ttl)
    except BaseException:
        _give_up(principal, claim)
        raise
    if counted:
        return found
    _give_up(principal, claim)
    return None


def _draw(
    principal: Principal,
    claim: Claim,
    original: Original,
    transform: Transform,
    target: Path,
    shop: Workshop,
) -> Picture:
    """The picture in ``target``; the claim is renewed while it waits for its turn and is worked
    on."""
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


def _keep(
    principal: Principal,
    claim: Claim,
    picture: Picture,
    found: Found,
    now: datetime,
    ttl: timedelta | None,
) -> bool:
    """Make the rendition known, if it fits, and count the image, at once. False where the claim was
    lost.

    Raises QuotaExceeded where a URL would lead to one that doesn't fit.
    """
    values = {
        "ready": True,
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "size": picture.size,
        "crc32": found.crc32,
        "needed_until": now if ttl is None else now + ttl + SPARE,
    }
    limit = kept.most(principal, Kept.RENDITION)
    with transaction(*principal.partition) as session:
        mine = _held(claim.rendition_id, claim.token)
        if kept.add(session, SHELF, picture.size, limit):
            if not session.change(update(Rendition).where(mine).values(**values)):
                kept.shift(session, Kept.RENDITION, -picture.size)
                return False
        elif ttl:
            raise QuotaExceeded(
                f"The copy has {picture.size // MEGABYTE:,} MB, and {limit // MEGABYTE:,} MB is "
                "the most that is kept of all copies. Ask for a smaller one."
            )
        elif session.change(delete(Rendition).where(mine)):
            space.discard(session, [claim.storage_key])
        else:
            return False
        usage.settle(session, claim.reservation, 1)
        return True


def _give_up(principal: Principal, claim: Claim) -> None:
    with transaction(*principal.partition) as session:
        usage.release(session, claim.reservation)
        session.change(delete(Rendition).where(_held(claim.rendition_id, claim.token)))
        space.discard(session, [claim.storage_key])
