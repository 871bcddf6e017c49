"""One organization as staff see it: its plan and limits, what it has, and how it is with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Select, and_, func, select

from app.errors import NotFound
from app.extensions import transaction
from app.models import (
    ApiKey,
    Invitation,
    Membership,
    Mode,
    Organization,
    Plan,
    StorageCounter,
    UsageCounter,
    UsageNotice,
    User,
)
from app.services.accounts import keys, members
from app.services.library import facet_counts
from app.services.staff.organization_filter import State, states_of
from app.services.usage.periods import next_period, period_of
from app.tenancy import TenantSession

ID_LENGTH = 32
LIMITS = ("monthly_images", "requests_per_second", "storage_mb", "file_mb", "batch_files")
"""The plan's columns that can be raised for one organization."""


class Counters(NamedTuple):
    """``used`` and ``reserved`` are live images of this month, ``stored`` is in bytes."""

    used: int
    reserved: int
    stored: int


class Limit(NamedTuple):
    """A limit by the name of the plan's column. ``holds`` is that of the plan, or the one that was
    raised; None without a limit."""

    name: str
    of_plan: int | None
    holds: int | None

    @property
    def is_raised(self) -> bool:
        return self.of_plan != self.holds


@dataclass(frozen=True)
class Head:
    """What stands above each page of an organization. ``plan`` is the one that holds now."""

    organization: Organization
    plan: Plan
    counters: Counters
    owners: Sequence[User]

    @property
    def states(self) -> list[State]:
        return states_of(self.organization)

    def limits(self, now: datetime) -> list[Limit]:
        raised = _raised(self.organization, now)
        return [_limit(name, getattr(self.plan, name), raised.get(name)) for name in LIMITS]


@dataclass(frozen=True)
class Belongings:
    """What an organization has. ``images`` and ``in_trash`` are by mode. ``keys`` can be used,
    ``invitations`` are open. ``notices`` are the mails about usage of this month, which ends before
    ``resets``."""

    members: int
    keys: int
    invitations: int
    images: Mapping[Mode, int]
    in_trash: Mapping[Mode, int]
    notices: Sequence[str]
    resets: date


def find(org_id: str, now: datetime) -> Head:
    """Raises NotFound."""
    if len(org_id) > ID_LENGTH or "\0" in org_id:
        raise _missing(org_id)
    with transaction(org_id) as session:
        used = and_(UsageCounter.org_id == Organization.id, UsageCounter.period == period_of(now))
        row = session.execute(
            select(
                Organization,
                Plan,
                func.coalesce(UsageCounter.used, 0).label("used"),
                func.coalesce(UsageCounter.reserved, 0).label("reserved"),
                func.coalesce(StorageCounter.bytes, 0).label("stored"),
            )
            .join(Plan, Plan.code == Organization.plan_code_at(now))
            .outerjoin(UsageCounter, used)
            .outerjoin(StorageCounter, StorageCounter.org_id == Organization.id)
            .where(Organization.id == org_id)
        ).one_or_none()
        if row is None:
            raise _missing(org_id)
        counters = Counters(row.used, row.reserved, row.stored)
        return Head(row.Organization, row.Plan, counters, members.owners_of(session))


def belongings_of(org_id: str, now: datetime) -> Belongings:
    images, in_trash = dict[Mode, int](), dict[Mode, int]()
    for mode in Mode:
        with transaction(org_id, mode) as session:
            counts = facet_counts.of(session, (facet_counts.ALL, facet_counts.TRASH))
            images[mode], in_trash[mode] = counts[facet_counts.ALL], counts[facet_counts.TRASH]
    with transaction(org_id) as session:
        notices = select(UsageNotice.name).where(UsageNotice.period == period_of(now))
        return Belongings(
            members=_count(session, select(func.count()).where(Membership.org_id == org_id)),
            keys=_count(
                session,
                select(func.count()).where(ApiKey.org_id == org_id, keys.is_usable(now)),
            ),
            invitations=_count(session, select(func.count(Invitation.id))),
            images=images,
            in_trash=in_trash,
            notices=session.scalars(notices.order_by(UsageNotice.name)).all(),
            resets=next_period(period_of(now)),
        )


def _missing(org_id: str) -> NotFound:
    return NotFound(f"There is no organization with the id {org_id[:ID_LENGTH]!r}.")


def _count(session: TenantSession, statement: Select[int]) -> int:
    return session.scalar(statement) or 0


def _raised(organization: Organization, now: datetime) -> Mapping[str, int]:
    until = organization.raised_until
    has_ended = until is not None and until <= now
    return {} if has_ended else organization.raised_limits or {}


def _limit(name: str, of_plan: int | None, raised: int | None) -> Limit:
    """Only a higher limit holds instead of the plan's."""
    if of_plan is None or raised is None:
        return Limit(name, of_plan, of_plan)
    return Limit(name, of_plan, max(of_plan, raised))
