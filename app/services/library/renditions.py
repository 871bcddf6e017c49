"""Renditions: transformed copies of originals, made once and kept.

Whoever inserts a rendition's row renders it; other requests wait for it, across all processes. A
claim has a lease, so that a renderer that died delays other requests only briefly. One transaction
makes the row ready and counts the image. ``services/library/kept_renditions`` says how long
renditions are kept.
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
from app.services import discarded_objects, kept
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.checksums import crc32_of
from app.services.library import kept_renditions
from app.services.processing_context import ProcessingContext
from app.services.usage import reservations
from app.services.usage.reservations import Reservation
from app.tenancy import TenantSession, insert_if_absent

LEASE = timedelta(seconds=10)
NEEDED_RESOLUTION = timedelta(days=1)
"""How exactly the time of a rendition's last request is recorded."""
URL_MARGIN = timedelta(minutes=10)
"""How much longer than its URL a rendition is kept, so that further URLs of the same lifetime need
no update."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150


@dataclass(frozen=True)
class RenditionSource:
    """The original of a rendition: an asset's content and its storage key."""

    asset_id: str
    content: str
    storage_key: str

    @classmethod
    def of(cls, asset: Asset) -> "RenditionSource":
        return cls(asset.id, asset.content, asset.storage_key)


@dataclass(frozen=True)
class RenditionClaim:
    """The right and duty to render: the row's id, this claim's token and storage key, and the
    reserved image."""

    rendition_id: str
    token: str
    storage_key: str
    reservation: Reservation


@dataclass(frozen=True)
class ReadyRendition:
    """A rendition that is ready. If ``cached`` is False, it was rendered just now and its file is
    at the requested path. ``size`` is in bytes."""

    storage_key: str
    format: Format
    size: int
    crc32: int
    cached: bool
    width: int
    height: int


@dataclass(frozen=True)
class RenditionRequest:
    """A request for a rendition.

    ``ttl`` is how long a URL will lead to it. Without ``ttl`` it may be larger than the limit of
    kept renditions; then it is not kept.
    """

    principal: Principal
    original: RenditionSource
    transform: Transform
    ttl: timedelta | None = None

    @cached_property
    def effective_transform(self) -> Transform:
        """The transform, with a watermark for a test key."""
        return self.principal.watermarked_for_test(self.transform)

    @cached_property
    def identity(self) -> dict[str, str]:
        """The columns that identify its row in the workspace."""
        return {
            "content": self.original.content,
            "transform_key": self.effective_transform.canonical(),
        }


def render(wanted: RenditionRequest, target: Path, context: ProcessingContext) -> ReadyRendition:
    """Find the rendition or render it. If it was rendered now, its file is at ``target``.

    Raises QuotaExceeded, ImagingError, Overloaded, Unprocessable if the original's object is
    missing, NotFound if the asset was deleted meanwhile. Then nothing is counted.
    """
    deadline = time.monotonic() + (
        PATIENCE_SECONDS if context.max_wait is None else context.max_wait
    )
    while True:
        with transaction(*wanted.principal.partition) as session:
            got = _find_or_claim(session, wanted, context.clock())
        if isinstance(got, ReadyRendition):
            return got
        if got and (found := _Rendering(wanted, got, target, context).run()):
            return found
        if time.monotonic() >= deadline:
            raise Overloaded(
                "The server is busy; this image is still being made. Ask for it again.",
                retry_after=5,
            )
        if got is None:
            time.sleep(POLL_SECONDS)


def reuse(session: TenantSession, wanted: RenditionRequest, now: datetime) -> ReadyRendition | None:
    """The rendition if it is ready, otherwise None. It extends the time for which the rendition is
    needed. It takes no work, so it waits for no turn."""
    return _reuse_if_ready(session, wanted, _find_row(session, wanted), now)


def _find_or_claim(
    session: TenantSession, wanted: RenditionRequest, now: datetime
) -> ReadyRendition | RenditionClaim | None:
    """The rendition, or a claim to make it; None while another request makes it. Raises NotFound,
    QuotaExceeded."""
    row, principal = _find_row(session, wanted), wanted.principal
    if found := _reuse_if_ready(session, wanted, row, now):
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
        rendition_id, token, key, reservations.reserve(session, principal, "rendition", 1, now)
    )


def _find_row(session: TenantSession, wanted: RenditionRequest) -> Rendition | None:
    return session.scalar(select(Rendition).filter_by(**wanted.identity))


def _reuse_if_ready(
    session: TenantSession, wanted: RenditionRequest, row: Rendition | None, now: datetime
) -> ReadyRendition | None:
    """The rendition of a ready row, after extending the time for which it is needed."""
    if row is None or not row.format or not _extend_need(session, row, now, wanted.ttl):
        return None
    return ReadyRendition(
        row.storage_key,
        Format(row.format),
        row.size or 0,
        row.crc32 or 0,
        cached=True,
        width=row.width or 0,
        height=row.height or 0,
    )


def _needed_until(now: datetime, ttl: timedelta | None) -> datetime:
    """The end of the time for which a rendition is needed."""
    return now if ttl is None else now + ttl + URL_MARGIN


def _extend_need(
    session: TenantSession, row: Rendition, now: datetime, ttl: timedelta | None
) -> bool:
    """Record that a rendition is needed, now or until a URL ends. Returns False if it was deleted
    meanwhile."""
    if row.needed_until > (now - NEEDED_RESOLUTION if ttl is None else now + ttl + URL_MARGIN / 2):
        return True
    ready = update(Rendition).where(Rendition.id == row.id, Rendition.ready.is_(True))
    return bool(session.change(ready.values(needed_until=_needed_until(now, ttl))))


def _held(rendition_id: str, token: str) -> ColumnElement[bool]:
    """Whether a claim is still the current one."""
    return and_(Rendition.id == rendition_id, Rendition.claim == token, Rendition.ready.is_(False))


@dataclass(frozen=True)
class _Rendering:
    """The work under one claim; the file is rendered to ``target``."""

    wanted: RenditionRequest
    claim: RenditionClaim
    target: Path
    context: ProcessingContext

    def run(self) -> ReadyRendition | None:
        """Render, store and count. Returns None if the claim was lost: another request has it, or
        the asset was deleted."""
        try:
            picture, key = self._draw(), self.claim.storage_key
            self.context.storage.put_file(key, self.target, picture.format.mime)
            crc32 = crc32_of(self.target)
            found = ReadyRendition(
                key, picture.format, picture.size, crc32, False, picture.width, picture.height
            )
            counted = self._keep(picture, found)
        except BaseException:
            self._give_up()
            raise
        if counted:
            return found
        self._give_up()
        return None

    def _draw(self) -> Picture:
        """Render the picture to ``target`` and renew the claim during the wait and the work."""
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
                source, self.target, wanted.effective_transform, wanted.principal.org_id
            )
            return context.outcome(work, self._renew)

    def _renew(self) -> None:
        with transaction(*self.wanted.principal.partition) as session:
            renewed = {"lease_until": self.context.clock() + LEASE}
            session.change(update(Rendition).where(self._is_held).values(**renewed))

    def _keep(self, picture: Picture, found: ReadyRendition) -> bool:
        """Mark the rendition ready, if it fits, and count the image, in one transaction. Returns
        False if the claim was lost.

        Raises QuotaExceeded if a URL would lead to a rendition that doesn't fit.
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
        limit = kept.max_bytes(principal, Kept.RENDITION)
        with transaction(*principal.partition) as session:
            if kept.add(session, kept_renditions.EVICTION, picture.size, limit):
                if not session.change(update(Rendition).where(self._is_held).values(**values)):
                    kept.change_total(session, Kept.RENDITION, -picture.size)
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
            reservations.settle(session, self.claim.reservation, 1)
            return True

    def _give_up(self) -> None:
        with transaction(*self.wanted.principal.partition) as session:
            reservations.release(session, self.claim.reservation)
            session.change(delete(Rendition).where(self._is_held))
            discarded_objects.discard(session, [self.claim.storage_key])

    @property
    def _is_held(self) -> ColumnElement[bool]:
        return _held(self.claim.rendition_id, self.claim.token)
