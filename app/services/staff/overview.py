"""What waits for somebody, and what happened last: the console's first page.

Each figure is counted through an index that finds only what is counted.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, and_, func, or_, select

from app.adapters.queue import failed_jobs
from app.models import (
    Announcement,
    AnnouncementKind,
    Export,
    ExportStatus,
    Mail,
    Mode,
    Organization,
    RequestEntry,
    StaffEntry,
    StripeEvent,
    UsageDay,
)
from app.models.types import EPOCH, first_id
from app.services.usage.periods import day_of
from app.tenancy import TenantSession

LONG_WAIT = timedelta(minutes=10)
"""An export that waits longer than this for a worker waits too long."""
SOON = timedelta(days=7)
RECENT = timedelta(days=7)
"""How far back failures are looked for."""
SHOWN = 10
FRESH_SECONDS = 60
DAY_SECONDS = 24 * 60 * 60


class Waiting(NamedTuple):
    """How many of each wait for somebody. ``failed_jobs`` is None while Redis does not answer."""

    flagged: int
    suspended: int
    overdue: int
    stripe_events: int
    failed_jobs: int | None
    late_exports: int
    deletions: int
    failed_mails: int


class Today(NamedTuple):
    """Organizations and live images of today (UTC), and of the same day a week ago; ``banners`` is
    how many hold now."""

    organizations: int
    images: int
    images_last_week: int
    banners: int


class Problem(NamedTuple):
    """Something that went wrong. ``org_id`` is whose it was, where it was somebody's."""

    what: str
    detail: str
    org_id: str | None
    at: datetime


def waiting(session: TenantSession, redis: Redis, now: datetime) -> Waiting:
    """``session`` sees all organizations."""

    def count(model: type, *conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0

    own = Organization
    is_late = and_(Export.status == ExportStatus.QUEUED, Export.created_at < now - LONG_WAIT)
    jobs = None
    with suppress(RedisError):
        jobs = failed_jobs(redis)
    return Waiting(
        flagged=count(own, own.flag.is_not(None), own.deleted_at.is_(None)),
        suspended=count(own, own.suspended_at.is_not(None), own.deleted_at.is_(None)),
        overdue=count(own, own.plan_lapses_at >= EPOCH, own.deleted_at.is_(None)),
        stripe_events=count(StripeEvent, StripeEvent.handled_at.is_(None)),
        failed_jobs=jobs,
        late_exports=count(Export, is_late),
        deletions=count(own, own.delete_at >= EPOCH, own.delete_at < now + SOON),
        failed_mails=count(Mail, *_given_up(now)),
    )


def today(session: TenantSession, redis: Redis, now: datetime) -> Today:
    """``session`` sees all organizations."""
    day = day_of(now)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    born = select(func.count()).where(Organization.id >= first_id("org", midnight))
    holds = and_(
        Announcement.kind == AnnouncementKind.BANNER,
        Announcement.starts_at <= now,
        or_(Announcement.ends_at.is_(None), Announcement.ends_at > now),
    )
    banners = select(func.count()).select_from(Announcement).where(holds)
    return Today(
        organizations=session.scalar(born) or 0,
        images=_images(session, redis, day, FRESH_SECONDS),
        images_last_week=_images(session, redis, day - timedelta(days=7), DAY_SECONDS),
        banners=session.scalar(banners) or 0,
    )


def _images(session: TenantSession, redis: Redis, day: date, seconds: int) -> int:
    """The live images of a day, kept in Redis for so long."""
    key = f"staff:images:{day}"
    with suppress(RedisError, ValueError):
        if kept := redis.get(key):
            return int(kept)
    total = select(func.sum(UsageDay.images)).where(UsageDay.day == day, UsageDay.mode == Mode.LIVE)
    images = session.scalar(total) or 0
    with suppress(RedisError):
        redis.set(key, images, ex=seconds)
    return images


def last_entries(session: TenantSession) -> Sequence[StaffEntry]:
    """What staff did last, the newest first."""
    newest = select(StaffEntry).order_by(StaffEntry.number.desc()).limit(SHOWN)
    return session.scalars(newest).all()


def problems(session: TenantSession, now: datetime) -> list[Problem]:
    """What went wrong last, the newest first. ``session`` sees all organizations."""
    found = [
        *_failed_requests(session, now),
        *_stuck_events(session),
        *_lost_mails(session, now),
        *_failed_exports(session, now),
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:SHOWN]


def _failed_requests(session: TenantSession, now: datetime) -> list[Problem]:
    failed = select(RequestEntry).where(
        RequestEntry.status >= 500,
        RequestEntry.created_at > now - RECENT,
    )
    rows = session.scalars(failed.order_by(RequestEntry.created_at.desc()).limit(SHOWN))
    return [
        Problem(f"{row.method} {row.route}", f"{row.status}, {row.id}", row.org_id, row.created_at)
        for row in rows
    ]


def _stuck_events(session: TenantSession) -> list[Problem]:
    stuck = select(StripeEvent).where(StripeEvent.handled_at.is_(None), StripeEvent.attempts > 0)
    rows = session.scalars(stuck.order_by(StripeEvent.received_at.desc()).limit(SHOWN))
    return [
        Problem(f"Event {row.type}", row.outcome or row.id, None, row.received_at) for row in rows
    ]


def _given_up(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Mail.created_at > now - RECENT,
        Mail.created_at <= now,
        Mail.sent_at.is_(None),
        Mail.next_attempt_at.is_(None),
        Mail.error.is_not(None),
    )


def _lost_mails(session: TenantSession, now: datetime) -> list[Problem]:
    lost = select(Mail).where(*_given_up(now)).order_by(Mail.created_at.desc()).limit(SHOWN)
    return [
        Problem(f"Mail to {row.recipient}", row.error or "", None, row.created_at)
        for row in session.scalars(lost)
    ]


def _failed_exports(session: TenantSession, now: datetime) -> list[Problem]:
    failed = select(Export).where(
        Export.status == ExportStatus.FAILED, Export.created_at > now - RECENT
    )
    rows = session.scalars(failed.order_by(Export.created_at.desc()).limit(SHOWN))
    return [Problem("Export", row.error or row.id, row.org_id, row.created_at) for row in rows]
