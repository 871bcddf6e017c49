"""What our staff announce to customers, and maintenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update

from app.errors import BadRequest, Conflict, NotFound
from app.models import Announcement, AnnouncementKind, new_id
from app.tenancy import TenantSession

MOST = 200
"""How many may be there that have not ended: all of them are read at once."""
PAGE_SIZE = 50
TEXT_CHARACTERS = 500


@dataclass(frozen=True)
class Wanted:
    """A new announcement: for all, for the organizations of a plan, or for one. It begins at once
    where ``starts_at`` is None or over."""

    kind: AnnouncementKind
    text: str
    plan_code: str | None = None
    org_id: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Announcements, the newest first. ``next`` is the cursor of the next page, None on the
    last."""

    found: Sequence[Announcement]
    next: str | None


def make(session: TenantSession, wanted: Wanted, user_id: str, now: datetime) -> Announcement:
    """Raises BadRequest, and Conflict if there are too many that have not ended."""
    starts_at = max(wanted.starts_at or now, now)
    problems = []
    if not wanted.text:
        problems.append("text: say something")
    elif len(wanted.text) > TEXT_CHARACTERS:
        problems.append(f"text: must have at most {TEXT_CHARACTERS} characters")
    if wanted.ends_at is not None and wanted.ends_at <= starts_at:
        problems.append("ends: must be after the beginning, and after now")
    if problems:
        raise BadRequest.of_fields(problems, "Several fields are not valid.")
    running = select(func.count()).select_from(Announcement).where(_has_not_ended(now))
    if session.scalars(running).one() >= MOST:
        raise Conflict(f"There are {MOST} announcements already that have not ended. End some.")
    made = Announcement(
        id=new_id("ann", now),
        kind=wanted.kind,
        text=wanted.text,
        plan_code=wanted.plan_code,
        org_id=wanted.org_id,
        created_by=user_id,
        created_at=now,
        starts_at=starts_at,
        ends_at=wanted.ends_at,
    )
    session.add(made)
    session.flush()
    return made


def get(session: TenantSession, announcement_id: str) -> Announcement:
    """Raises NotFound."""
    found = session.get(Announcement, announcement_id)
    if found is None:
        raise NotFound(f"There is no announcement '{announcement_id}'.")
    return found


def end(session: TenantSession, announcement_id: str, now: datetime) -> Announcement:
    """End it now, or take it back before it begins. Raises NotFound, Conflict."""
    found = get(session, announcement_id)
    running = update(Announcement).where(Announcement.id == found.id, _has_not_ended(now))
    if not session.change(running.values(ends_at=now)):
        raise Conflict("This has ended already.")
    session.refresh(found)
    return found


def not_ended(session: TenantSession, now: datetime) -> list[Announcement]:
    """What holds now and what is to come, at most ``MOST``, by their beginnings."""
    wanted = select(Announcement).where(_has_not_ended(now))
    return list(session.scalars(wanted.order_by(Announcement.starts_at, Announcement.id)))


def ended(session: TenantSession, now: datetime, before: str = "") -> Page:
    """What has ended, the newest first, from the one after ``before``."""
    wanted = select(Announcement).where(Announcement.ends_at <= now)
    if before:
        wanted = wanted.where(Announcement.id < before)
    newest = wanted.order_by(Announcement.id.desc()).limit(PAGE_SIZE + 1)
    found = session.scalars(newest).all()
    shown = found[:PAGE_SIZE]
    return Page(shown, shown[-1].id if len(found) > PAGE_SIZE else None)


def holds(announcement: Announcement, now: datetime) -> bool:
    """Whether it has begun and not ended."""
    has_ended = announcement.ends_at is not None and announcement.ends_at <= now
    return announcement.starts_at <= now and not has_ended


def concerns(announcement: Announcement, org_id: str, plan_code: str) -> bool:
    """Whether it is for an organization on this plan."""
    return announcement.org_id in (None, org_id) and announcement.plan_code in (None, plan_code)


def _has_not_ended(now: datetime) -> ColumnElement[bool]:
    return or_(Announcement.ends_at.is_(None), Announcement.ends_at > now)
