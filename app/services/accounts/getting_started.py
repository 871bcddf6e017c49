"""What a new organization does first, computed from its data; and what its keys need."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_, select, update

from app.models import ApiKey, AssetCount, Invitation, Membership
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.accounts.sign_ins import Person
from app.tenancy import TenantSession

EXPIRES_SOON = timedelta(days=14)
UNUSED = timedelta(days=90)
MOST_KEYS = 10
"""Keys that a reminder names."""


@dataclass(frozen=True)
class Steps:
    """Which of the first steps are done."""

    has_key: bool
    has_called: bool
    has_image: bool
    has_colleague: bool
    has_second_factor: bool

    @property
    def done(self) -> int:
        return sum(vars(self).values())

    @property
    def all_done(self) -> bool:
        return self.done == len(vars(self))


@dataclass(frozen=True)
class KeyReminders:
    """Keys that expire within 14 days, and keys that were not used for 90 days."""

    expiring: list[ApiKey]
    unused: list[ApiKey]


def steps(session: TenantSession, principal: Principal, person: Person) -> Steps | None:
    """The first steps, or None if all are done or the person dismissed them, or is no member. The
    image is one of the principal's mode."""
    if principal.viewing:
        return None
    org_id = principal.org_id
    own_keys = select(ApiKey.id).where(ApiKey.org_id == org_id)
    colleagues = select(Membership.user_id).where(
        Membership.org_id == org_id, Membership.user_id != person.user_id
    )
    row = session.execute(
        select(
            Membership.steps_hidden,
            own_keys.exists(),
            own_keys.where(ApiKey.last_used_at.is_not(None)).exists(),
            exists(AssetCount.count).where(AssetCount.facet == "all", AssetCount.count > 0),
            or_(colleagues.exists(), exists(Invitation.id)),
        ).where(Membership.org_id == org_id, Membership.user_id == person.user_id)
    ).one()
    is_hidden, has_key, has_called, has_image, has_colleague = row
    found = Steps(has_key, has_called, has_image, has_colleague, person.has_second_factor)
    return None if is_hidden or found.all_done else found


def dismiss(session: TenantSession, principal: Principal) -> None:
    """Hide the first steps from the person for good."""
    session.change(
        update(Membership)
        .where(Membership.org_id == principal.org_id, Membership.user_id == principal.actor.id)
        .values(steps_hidden=True)
    )


def key_reminders(session: TenantSession, org_id: str, now: datetime) -> KeyReminders:
    soon, long_ago = now + EXPIRES_SOON, now - UNUSED
    last_used = func.coalesce(ApiKey.last_used_at, ApiKey.created_at)
    found = session.scalars(
        select(ApiKey)
        .where(
            ApiKey.org_id == org_id,
            keys.is_usable(now),
            ApiKey.replaced_at.is_(None),
            or_(ApiKey.expires_at <= soon, last_used <= long_ago),
        )
        .order_by(ApiKey.expires_at, ApiKey.id)
    ).all()
    expiring = [key for key in found if key.expires_at and key.expires_at <= soon]
    unused = [key for key in found if key not in expiring]
    return KeyReminders(expiring[:MOST_KEYS], unused[:MOST_KEYS])
