"""Renditions: transformed copies of originals, made once and kept.

Whoever inserts a rendition's row renders it; the others wait for it, across all processes. A claim
has a lease, so that a renderer that died holds nobody up for long. The row becomes ready and the
image is counted in one transaction. How long they are kept: ``services/library/kept_renditions``.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, select, update

from app.errors import NotFound, Overloaded, QuotaExceeded, Unprocessable
from app.extensions import transaction
from app.imaging import Format, Picture, Transform
from app.models import Asset, Kept, Rendition, new_id
from app.services import discarded_objects, kept, usage
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.checksums import crc32_of
from app.services.library import kept_renditions
from app.services.processing_context import ProcessingContext
from app.services.usage import Reservation
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(seconds=10)
TOUCHED = timedelta(days=1)
"""How exactly it is known when a rendition was last asked for."""
SPARE = timedelta(minutes=10)
"""How much longer than its URL one is needed: so the next URLs of the same length change
nothing."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150


@dataclass(frozen=True)
class RenditionSource:
    """What is rendered: an asset's content and where it lies."""

    asset_id: str
    content: str
    storage_key: str

    @classmethod
    def of(cls, asset: Asset) -> "RenditionSource":
        return cls(asset.id, asset.content, asset.storage_key)


@dataclass(frozen=True)
class RenditionClaim:
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


@dataclass(frozen=True)
class Wanted:
    """A rendition as somebody wants it.

    ``ttl`` is how long a URL will lead to it; without one it may be larger than all that is kept,
    and then is made anew the next time.
    """

    principal: Principal
    original: RenditionSource
    transform: Transform
    ttl: timedelta | None = None

    @cached_property
    def drawn(self) -> Transform:
        """How it is drawn: a test key's has a watermark."""
        return self.principal.watermarked_for_test(self.transform)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What its row has, and no other in the workspace."""
        return {"content": self.original.content, "transform_key": self.drawn.canonical()}


def render(wanted: Wanted, target: Path, context: ProcessingContext) -> Found:
    """The rendition, from the cache or made now; then its file is at ``target``, too.

    Raises QuotaExceeded, ImagingError, Unprocessable where the original's object is missing,
    NotFound where the asset was deleted meanwhile, Overloaded. Nothing is counted then.
    """
    deadline = time.monotonic() + (
        PATIENCE_SECONDS if context.max_wait is None else context.max_wait
    )
    while True:
        with transaction(*wanted.principal.partition) as session:
            got = _find_or_claim(session, wanted, context.clock())
        if isinstance(got, Found):
            return got
        if got and (found := _Rendering(wanted, got, target, context).outcome()):
            return found
        if time.monotonic() >= deadline:
            raise Overloaded(
                "The server is busy; this image is still being made. Ask for it again.",
                retry_after=5,
            )
        if got is None:
            time.sleep(POLL_SECONDS)


def reuse(session: TenantSession, wanted: Wanted, now: datetime) -> Found | None:
    """The rendition, where it is there already: that takes no work, and so no turn."""
    return _ready(session, wanted, _row(session, wanted), now)


def _find_or_claim(
    session: TenantSession, wanted: Wanted, now: datetime
) -> Found | RenditionClaim | None:
    """The rendition, or the right to make it; None while somebody else makes it. Raises NotFound,
    QuotaExceeded."""
    row, principal = _row(session, wanted), wanted.principal
    if found := _ready(session, wanted, row, now):
        return found
    if row is not None and row.lease_until > now:
        return None
    if session.scalar(select(Asset.id).where(Asset.id == wanted.original.asset_id)) is None:
        raise NotFound(f"Asset '{wanted.original.asset_id}' does not exist in this workspace.")
    rendition_id, token = row.id if row else new_id("rend", now), new_id("claim", now)
    key = f"renditions/{principal.org_id}/{token}"
    claim = {"claim": token, "lease_until": now + LEASE, "storage_key": key, "needed_until": now}
    if row is None:
        new = {"id": rendition_id, "ready": False, "created_at": now, **wanted.identity, **claim}
        mine = insert_if_absent(session, Rendition, **new)
    else:
        mine = bool(
            session.change(update(Rendition).where(_held(row.id, row.claim)).values(**claim))
        )
    if not mine:
        return None
    if row is not None:
        discarded_objects.discard(session, [row.storage_key])
    return RenditionClaim(
        rendition_id, token, key, usage.reserve(session, principal, "rendition", 1, now)
    )


def _row(session: TenantSession, wanted: Wanted) -> Rendition | None:
    return session.scalar(select(Rendition).filter_by(**wanted.identity))


def _ready(
    session: TenantSession, wanted: Wanted, row: Rendition | None, now: datetime
) -> Found | None:
    """A rendition that is there and stays for as long as it is needed."""
    if row is None or not row.format or not _need(session, row, now, wanted.ttl):
        return None
    return Found(row.storage_key, Format(row.format), row.size or 0, row.crc32 or 0, cached=True)


def _needed_until(now: datetime, ttl: timedelta | None) -> datetime:
    """``ttl`` is how long a URL will lead to it."""
    return now if ttl is None else now + ttl + SPARE


def _need(session: TenantSession, row: Rendition, now: datetime, ttl: timedelta | None) -> bool:
    """Note that a rendition is needed, now or until a URL ends. False where it was forgotten just
    now."""
    if row.needed_until > (now - TOUCHED if ttl is None else now + ttl + SPARE / 2):
        return True
    ready = update(Rendition).where(Rendition.id == row.id, Rendition.ready.is_(True))
    return bool(session.change(ready.values(needed_until=_needed_until(now, ttl))))


def _held(rendition_id: str, token: str) -> ColumnElement[bool]:
    """Whether a claim still is the one that counts."""
    return and_(Rendition.id == rendition_id, Rendition.claim == token, Rendition.ready.is_(False))


@dataclass(frozen=True)
class _Rendering:
    """The work under one claim; its file comes to ``target``."""

    wanted: Wanted
    claim: RenditionClaim
    target: Path
    context: ProcessingContext

    def outcome(self) -> Found | None:
        """Render, store, count. None where the claim was lost: somebody else does it, or the asset
        was deleted."""
        try:
            picture, key = self._draw(), self.claim.storage_key
            self.context.storage.put_file(key, self.target, picture.format.mime)
            crc32 = crc32_of(self.target)
            found = Found(key, picture.format, picture.size, crc32, cached=False)
            counted = self._keep(picture, found)
        except BaseException:
            self._give_up()
            raise
        if counted:
            return found
        self._give_up()
        return None

    def _draw(self) -> Picture:
        """The picture in ``target``; the claim is renewed while it waits for its turn and is worked
        on."""
        context, wanted = self.context, self.wanted
        with context.folder() as folder:
            source = folder / "original"
            try:
                context.storage.fetch(wanted.original.storage_key, source)
            except FileNotFoundError:
                raise Unprocessable(
                    "The asset's file is missing in storage: delete the asset and upload it again."
                ) from None
            work = context.imaging.submit(
                source, self.target, wanted.drawn, wanted.principal.org_id
            )
            return context.outcome(work, self._renew)

    def _renew(self) -> None:
        with transaction(*self.wanted.principal.partition) as session:
            renewed = {"lease_until": self.context.clock() + LEASE}
            session.change(update(Rendition).where(self._is_held).values(**renewed))

    def _keep(self, picture: Picture, found: Found) -> bool:
        """Make the rendition known, if it fits, and count the image, at once. False where the claim
        was lost.

        Raises QuotaExceeded where a URL would lead to one that doesn't fit.
        """
        principal, ttl = self.wanted.principal, self.wanted.ttl
        values = {
            "ready": True,
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "size": picture.size,
            "crc32": found.crc32,
            "needed_until": _needed_until(self.context.clock(), ttl),
        }
        limit = kept.most(principal, Kept.RENDITION)
        with transaction(*principal.partition) as session:
            if kept.add(session, kept_renditions.EVICTION, picture.size, limit):
                if not session.change(update(Rendition).where(self._is_held).values(**values)):
                    kept.shift(session, Kept.RENDITION, -picture.size)
                    return False
            elif ttl:
                raise QuotaExceeded(
                    f"The copy has {picture.size // MEGABYTE:,} MB, and {limit // MEGABYTE:,} MB "
                    "is the most that is kept of all copies. Ask for a smaller one."
                )
            elif session.change(delete(Rendition).where(self._is_held)):
                discarded_objects.discard(session, [self.claim.storage_key])
            else:
                return False
            usage.settle(session, self.claim.reservation, 1)
            return True

    def _give_up(self) -> None:
        with transaction(*self.wanted.principal.partition) as session:
            usage.release(session, self.claim.reservation)
            session.change(delete(Rendition).where(self._is_held))
            discarded_objects.discard(session, [self.claim.storage_key])

    @property
    def _is_held(self) -> ColumnElement[bool]:
        return _held(self.claim.rendition_id, self.claim.token)
